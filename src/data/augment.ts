import { present } from "../graph/at.js";
import type { ImageSize, SplitShape } from "./dataset.js";
import type { PixelWriting } from "./preprocessing.js";
import type { Random } from "./random.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/** Random changes to training images that keep their class. */
export interface Augmentation {
  /** Black pixels added on every side before a random crop back to the image's size; 0 for no crop. */
  readonly padding: number;
  /** Mirror left and right with probability 1/2. */
  readonly flip: boolean;
  /** Side of a square, at a random place, whose pixels become the mean (DeVries and Taylor 2017); absent or 0 for none. */
  readonly cutout?: number | undefined;
}

/** The paper's augmentation for CIFAR-10: random crop with 4 pixels of padding, horizontal flip. */
export const cifarAugmentation: Augmentation = { padding: 4, flip: true };

/** What one image goes through: moved so that (left, top) becomes its corner, then perhaps mirrored. */
export interface Placement {
  /** Column of the image at the left edge of the result, -padding .. padding. */
  readonly left: number;
  /** Row of the image at the top edge of the result, -padding .. padding. */
  readonly top: number;
  readonly mirrored: boolean;
  /** Where a square is cut out of the result; parts of it may lie outside. */
  readonly hole?: { readonly left: number; readonly top: number; readonly side: number };
}

/** The image as it is. */
export const unchanged: Placement = { left: 0, top: 0, mirrored: false };

/** Draws what one image goes through. */
export function drawPlacement(
  { padding, flip, cutout = 0 }: Augmentation,
  random: Random,
  { height, width }: ImageSize,
): Placement {
  const left = padding === 0 ? 0 : random.below(2 * padding + 1) - padding;
  const top = padding === 0 ? 0 : random.below(2 * padding + 1) - padding;
  const mirrored = flip && random.below(2) === 1;
  if (cutout === 0) return { left, top, mirrored };
  // The middle lies anywhere in the image, so that all pixels are cut out equally often.
  const [x, y] = [random.below(width), random.below(height)];
  const offset = Math.floor(cutout / 2);
  return { left, top, mirrored, hole: { left: x - offset, top: y - offset, side: cutout } };
}

/**
 * Writes one image, cropped, mirrored and normalised, as float32 in the model's layout into `target` at `offset`.
 * Pixels from outside the image are black (level 0) before normalisation, as in the usual recipe.
 */
export function writeImage(
  pixels: Uint8Array,
  { channels, height, width }: Pick<SplitShape, "channels" | "height" | "width">,
  { left, top, mirrored, hole }: Placement,
  { levels, places, layout }: PixelWriting,
  target: Float32Array,
  offset: number,
): void {
  const firstColumn = Math.min(width, Math.max(0, -left));
  const endColumn = Math.max(firstColumn, Math.min(width, width - left));
  const [plane, pitch] = layout === "NHWC" ? [1, channels] : [height * width, 1];
  const step = mirrored ? -pitch : pitch;
  for (let channel = 0; channel < channels; channel += 1) {
    const table = levels.subarray(256 * channel, 256 * (channel + 1));
    const black = read(table[0]);
    for (let row = 0; row < height; row += 1) {
      const start = offset + read(places[channel]) * plane + row * width * pitch;
      const end = start + width * pitch;
      const sourceRow = row + top;
      const isOutside = sourceRow < 0 || sourceRow >= height;
      if (isOutside || endColumn - firstColumn < width) {
        for (let at = start; at < end; at += pitch) target[at] = black;
      }
      if (isOutside) continue;
      let source = (channel * height + sourceRow) * width + firstColumn + left;
      let at = start + (mirrored ? width - 1 - firstColumn : firstColumn) * pitch;
      for (let column = firstColumn; column < endColumn; column += 1) {
        target[at] = read(table[read(pixels[source])]);
        source += 1;
        at += step;
      }
    }
  }
  if (hole !== undefined) cutOut(hole, { channels, height, width }, layout, target.subarray(offset));
}

/** Sets a square of an image to 0, which is the mean after normalisation. */
function cutOut(
  { left, top, side }: NonNullable<Placement["hole"]>,
  { channels, height, width }: Pick<SplitShape, "channels" | "height" | "width">,
  layout: PixelWriting["layout"],
  image: Float32Array,
): void {
  // Channels are planes one after the other, or all of them lie side by side at each pixel.
  const [planes, depth] = layout === "NHWC" ? [1, channels] : [channels, 1];
  const [firstColumn, endColumn] = [Math.max(0, left), Math.min(width, left + side)];
  for (let plane = 0; plane < planes; plane += 1) {
    for (let row = Math.max(0, top); row < Math.min(height, top + side); row += 1) {
      const start = (plane * height + row) * width;
      image.fill(0, (start + firstColumn) * depth, (start + endColumn) * depth);
    }
  }
}
