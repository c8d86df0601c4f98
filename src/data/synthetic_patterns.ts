import type { ImageSize } from "./dataset.js";
import type { Random } from "./random.js";

/**
 * How much of a pixel the pattern covers, 0 to 1, at (x, y) in units in which the image's shorter side is
 * 32 and the origin is its centre.
 */
type Coverage = (x: number, y: number) => number;

/** Draws the random parts of a pattern: phase, position, period, orientation. */
type Pattern = (random: Random) => Coverage;

/** From outside (0) to inside (1) over one pixel, for a distance that is negative inside. */
function soften(distance: number): number {
  return Math.min(1, Math.max(0, 0.5 - distance));
}

/** Parallel stripes across `degrees`, within 12 degrees either way. */
function stripes(degrees: number): Pattern {
  return (random) => {
    const angle = ((degrees + random.between(-12, 12)) * Math.PI) / 180;
    const wave = (2 * Math.PI) / random.between(5, 9);
    const phase = random.between(0, 2 * Math.PI);
    const [alongX, alongY] = [Math.cos(angle) * wave, Math.sin(angle) * wave];
    return (x, y) => 0.5 + 0.5 * Math.sin(x * alongX + y * alongY + phase);
  };
}

/** A square lattice of cells, each with its own centre as origin, turned by any angle. */
function lattice(cell: (half: number) => Coverage): Pattern {
  return (random) => {
    const angle = random.between(0, Math.PI / 2);
    const period = random.between(7, 10);
    const [offsetX, offsetY] = [random.between(0, period), random.between(0, period)];
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const covers = cell(period / 2);
    const wrap = (value: number) => value - period * Math.floor(value / period) - period / 2;
    return (x, y) => covers(wrap(x * cos + y * sin + offsetX), wrap(y * cos - x * sin + offsetY));
  };
}

/** Concentric rings around a point near the middle. */
const rings: Pattern = (random) => {
  const [centreX, centreY] = [random.between(-8, 8), random.between(-8, 8)];
  const wave = (2 * Math.PI) / random.between(5, 9);
  const phase = random.between(0, 2 * Math.PI);
  return (x, y) => 0.5 + 0.5 * Math.sin(Math.hypot(x - centreX, y - centreY) * wave + phase);
};

/** One shape of random size and position, at any angle: `distance` from its edge for the given radius. */
function shape(distance: (x: number, y: number, radius: number) => number): Pattern {
  return (random) => {
    const radius = random.between(7, 11);
    const angle = random.between(0, 2 * Math.PI);
    const [centreX, centreY] = [random.between(-5, 5), random.between(-5, 5)];
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    return (x, y) => {
      const [dx, dy] = [x - centreX, y - centreY];
      return soften(distance(dx * cos + dy * sin, dy * cos - dx * sin, radius));
    };
  };
}

const patterns: Readonly<Record<string, Pattern>> = {
  "horizontal stripes": stripes(90),
  "vertical stripes": stripes(0),
  "rising stripes": stripes(45),
  "falling stripes": stripes(-45),
  rings,
  checks: lattice((half) => (x, y) => soften(((x * y) / half) * 2)),
  dots: lattice((half) => (x, y) => soften(Math.hypot(x, y) - 0.55 * half)),
  disc: shape((x, y, radius) => Math.hypot(x, y) - radius),
  hoop: shape((x, y, radius) => Math.abs(Math.hypot(x, y) - 0.8 * radius) - 0.2 * radius),
  cross: shape((x, y, radius) => {
    const [longer, shorter] = [Math.max(Math.abs(x), Math.abs(y)), Math.min(Math.abs(x), Math.abs(y))];
    return Math.max(longer - 1.15 * radius, shorter - 0.35 * radius);
  }),
};

const drawers = Object.values(patterns);

/** The classes of the synthetic set, in label order. */
export const patternNames: readonly string[] = Object.keys(patterns);

type Colour = readonly [red: number, green: number, blue: number];

const CHANNELS: readonly (0 | 1 | 2)[] = [0, 1, 2];

/** Two colours, levels 0 to 255, far enough apart to be told from the noise. */
function drawColours(random: Random): { ink: Colour; paper: Colour } {
  for (;;) {
    const [ink, paper] = [drawColour(random), drawColour(random)];
    const distance = Math.hypot(...CHANNELS.map((channel) => ink[channel] - paper[channel]));
    if (distance > 70) return { ink, paper };
  }
}

function drawColour(random: Random): Colour {
  return [random.between(20, 235), random.between(20, 235), random.between(20, 235)];
}

/**
 * Draws one image of class `label` into `pixels`, uint8 [3, height, width]. The noise is uniform;
 * one draw of the generator serves the three channels of a pixel.
 */
export function drawPattern(
  label: number,
  { width, height }: ImageSize,
  random: Random,
  pixels: Uint8Array,
): void {
  const covers = drawers[label]?.(random);
  if (covers === undefined) return;
  const { ink, paper } = drawColours(random);
  const noise = random.between(10, 40);
  const shade = [random.between(-1.5, 1.5), random.between(-1.5, 1.5)] as const;
  const unit = 32 / Math.min(width, height);
  const plane = width * height;
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const x = (column + 0.5 - width / 2) * unit;
      const y = (row + 0.5 - height / 2) * unit;
      const cover = covers(x, y);
      const light = shade[0] * x + shade[1] * y;
      const bits = random.uint32();
      for (const channel of CHANNELS) {
        const level = paper[channel] + (ink[channel] - paper[channel]) * cover + light;
        const noisy = level + noise * (((bits >>> (10 * channel)) & 1023) / 511.5 - 1);
        pixels[channel * plane + row * width + column] = Math.min(255, Math.max(0, Math.round(noisy)));
      }
    }
  }
}
