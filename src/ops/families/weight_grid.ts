import { present } from "../../graph/at.js";

// Weights as whole numbers times a scale, which is how 8 bits hold them.

/** Largest whole number: the smallest int8, -128, has no opposite. */
export const MOST_LEVELS = 127;

/** A tensor's elements in channels: element `(o * channels + c) * inner + i` belongs to channel c. */
export interface Channels {
  readonly channels: number;
  readonly inner: number;
}

/** The channels of dimensions along an axis. */
export function channelsAlong(dims: readonly number[], axis: number): Channels {
  const inner = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
  return { channels: present(dims[axis]), inner };
}

/** Elements as int8, and one scale for each channel. */
export interface Grid {
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

/** Scales below are so small that what they multiply may vanish: they are not made smaller. */
const SMALLEST_SCALE = 2 ** -126;
/** Parts of the range that are tried: a few large weights cut off may leave a finer step for all others. */
const RANGES = [0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6] as const;
/** A scale that was multiplied out and divided again is off by one or two of the last digit. */
const NEIGHBOURS = [0, 1, -1, 2, -2] as const;

const bits = new Uint32Array(1);
const number = new Float32Array(bits.buffer);

function neighbour(value: number, distance: number): number {
  number[0] = value;
  bits[0] = present(bits[0]) + distance;
  return present(number[0]);
}

function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let at = 0; at < values.length; at++) most = Math.max(most, Math.abs(present(values[at])));
  return most;
}

/**
 * The scale of which all values are exactly (rounded to float32, as a runtime multiplies) whole multiples from -127 to
 * 127; undefined where there is none. 1 where all are zero.
 * @param values not zero
 */
export function exactScale(values: ArrayLike<number>): number | undefined {
  const most = largest(values);
  if (most === 0) return 1;
  if (!Number.isFinite(most)) return undefined;
  for (let levels = 1; levels <= MOST_LEVELS; levels++) {
    const near = Math.fround(most / levels);
    if (near < SMALLEST_SCALE) return undefined;
    if (!isMultiple(present(values[0]), near) || !isMultiple(present(values[values.length - 1]), near))
      continue;
    for (const distance of NEIGHBOURS) {
      const scale = neighbour(near, distance);
      if (isOnGrid(values, scale)) return scale;
    }
  }
  return undefined;
}

/**
 * The exact scale of each output; undefined where one has none.
 * @param weightsOf an output's weights; zeros are on every grid
 */
export function exactScales(
  outputs: number,
  weightsOf: (output: number) => Float32Array,
): Float32Array | undefined {
  const scales = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const scale = exactScale(weightsOf(output).filter((value) => value !== 0));
    if (scale === undefined) return undefined;
    scales[output] = scale;
  }
  return scales;
}

/** Whether a value may be a multiple of about a scale. */
function isMultiple(value: number, scale: number): boolean {
  const quotient = value / scale;
  return Math.abs(quotient - Math.round(quotient)) < 1e-4;
}

function isOnGrid(values: ArrayLike<number>, scale: number): boolean {
  for (let at = 0; at < values.length; at++) {
    const value = present(values[at]);
    const level = Math.round(value / scale);
    if (Math.fround(level * scale) !== value || Math.abs(level) > MOST_LEVELS) return false;
  }
  return true;
}

/** Of a scale: its products with levels are exact, and half of its bytes are zero, of which compression leaves little. */
const SCALE_BITS = 8;

/** The nearest number of so many binary digits, of the 24 that a float32 has. */
export function roundedToBits(value: number, digits: number): number {
  number[0] = value;
  const spare = 24 - digits;
  const word = present(bits[0]);
  bits[0] = ((word + 2 ** (spare - 1) - 1 + ((word >>> spare) & 1)) >>> spare) << spare;
  return present(number[0]);
}

/** The scale whose multiples are nearest to the values, by squared error. */
function nearestScale(values: readonly number[], levels: number): number {
  const most = largest(values);
  // Not below, so that the largest weight is not cut off.
  const whole = Math.max(roundedToBits((most / levels) * (1 + 2 ** -SCALE_BITS), SCALE_BITS), SMALLEST_SCALE);
  let best = { scale: whole, error: squaredError(values, whole, levels) };
  for (const range of RANGES) {
    const scale = Math.max(roundedToBits(whole * range, SCALE_BITS), SMALLEST_SCALE);
    const error = squaredError(values, scale, levels);
    if (error < best.error) best = { scale, error };
  }
  return best.scale;
}

function squaredError(values: readonly number[], scale: number, levels: number): number {
  return values.reduce((sum, value) => sum + (value - scale * levelOf(value, scale, levels)) ** 2, 0);
}

function levelOf(value: number, scale: number, levels: number): number {
  return Math.max(-levels, Math.min(levels, Math.round(value / scale)));
}

/**
 * Finite weights as int8, each channel with a scale of its own: the exact one where its weights are on a grid already,
 * else the one with the least squared error of rounding. Zeros stay zeros.
 * @param levels steps on each side of zero, 127 at most: fewer make a file that is compressed smaller
 */
export function toGrid(weights: Float32Array, { channels, inner }: Channels, levels = MOST_LEVELS): Grid {
  const nonZeros: number[][] = Array.from({ length: channels }, () => []);
  const channelOf = (at: number): number => Math.floor(at / inner) % channels;
  weights.forEach((value, at) => {
    if (value !== 0) present(nonZeros[channelOf(at)]).push(value);
  });
  const exact = nonZeros.map(exactScale);
  const scales = Float32Array.from(
    nonZeros,
    (values, channel) => exact[channel] ?? nearestScale(values, levels),
  );
  const values = new Int8Array(weights.length);
  weights.forEach((value, at) => {
    const channel = channelOf(at);
    const most = exact[channel] === undefined ? levels : MOST_LEVELS;
    values[at] = levelOf(value, present(scales[channel]), most);
  });
  return { values, scales };
}
