import { at, dims4, outputOf } from "../../graph/at.js";
import { ints } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { elementCount } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { STEEP } from "../../ops/composites/clip_gradient.js";
import { compositeInputs } from "../../ops/core/composite.js";
import { add, div, mul, reshape, sub } from "../../ops/core/emit.js";
import type { StaticWindow } from "../../ops/core/window.js";
import { poolWindow } from "../../ops/families/pool.js";
import { oneHot } from "./filters.js";
import type { Layouts } from "./layouts.js";
import { CLIP_01 } from "./runtime_operators.js";
import { interleaved, type StridedWindow, type StridePosition, windowPads } from "./strided_gradient.js";

/** What the gradient of a pooling of images reads, by name. */
interface PoolOperands {
  readonly dy: string;
  readonly x: string;
  readonly y: string;
}

/** MaxPoolGradient, in the form that fits the windows. */
export function maxPoolGradient(layouts: Layouts, node: Node): boolean {
  const [dy, x, y] = compositeInputs(node, 3);
  const dx = outputOf(node, 0);
  if (!layouts.isBlocked(x) || !layouts.isBlocked(y)) return false;
  const input = layouts.dims(x);
  const window = poolWindow(node, input);
  const form = isTiling(window, input.slice(2)) ? tiled : overlapping;
  const value = form(layouts, window, { dy, x, y });
  if (value === undefined) return false;
  layouts.setBlocked(dx, value);
  return true;
}

/** Whether every element lies in exactly one window. */
function isTiling({ kernel, strides, dilations, pads }: StaticWindow, input: readonly number[]): boolean {
  return (
    kernel.every((size, axis) => strides[axis] === size && at(input, axis) % size === 0) &&
    dilations.every((dilation) => dilation === 1) &&
    pads.every((pad) => pad === 0)
  );
}

/**
 * Where the windows tile the image: each maximum, repeated over its window, is compared with the window's elements;
 * those equal to it share dy.
 */
function tiled(layouts: Layouts, { kernel }: StaticWindow, { dy, x, y }: PoolOperands): string {
  const channels = layouts.channels(x);
  const { b } = layouts;
  const below = sub(b, layouts.emit.repeat(layouts.blocked(y), kernel), layouts.blocked(x));
  const isMaximum = layouts.emit.scale(below, layouts.fill(channels, -STEEP), {
    bias: layouts.fill(channels, 1),
    activation: CLIP_01,
  });
  const share = layouts.emit.operator("AveragePool", [isMaximum], layouts.blockedDims(y), {
    kernel_shape: ints(kernel),
    strides: ints(kernel),
  });
  const maxima = layouts.emit.times(share, elementCount(kernel));
  const shared = layouts.emit.repeat(div(b, layouts.blocked(dy), maxima), kernel);
  return mul(b, shared, isMaximum);
}

/** Each tap of a window is some passes over the output. */
const MOST_TAPS = 9;

/**
 * Tap by tap: what is left of dy goes to the window's element there if that is the maximum, so that the first one takes
 * it, as in PyTorch; all of it on the output's grid. Then each tap's share is shifted to its elements of x.
 */
function overlapping(layouts: Layouts, window: StaticWindow, operands: PoolOperands): string | undefined {
  if (elementCount(window.kernel) > MOST_TAPS) return undefined;
  const geometry = windowOver(window, layouts.dims(operands.x));
  const shares = tapShares(layouts, geometry, operands);
  const dims = layouts.blockedDims(operands.x);
  return interleaved(layouts, geometry, dims, (position) => sumOfShares(layouts, geometry, shares, position));
}

/** The window over an image [N, C, H, W]; with ceil_mode the last windows reach beyond the padding. */
function windowOver(window: StaticWindow, dims: readonly number[]): StridedWindow {
  const pair = (values: readonly number[]): readonly [number, number] => firstOf(values, 2);
  const [input, output, kernel] = [pair(dims.slice(2)), pair(window.output), pair(window.kernel)];
  const [strides, dilations] = [pair(window.strides), pair(window.dilations)];
  const [top, left, bottom, right] = firstOf(window.pads, 4);
  const reached = (axis: 0 | 1): number =>
    (output[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - input[axis];
  const pads = [top, left, Math.max(bottom, reached(0) - top), Math.max(right, reached(1) - left)] as const;
  return { input, output, kernel, strides, dilations, pads };
}

/** What the elements of x at one position within the stride get from all taps; undefined where none meets them. */
function sumOfShares(
  layouts: Layouts,
  { kernel }: StridedWindow,
  shares: readonly string[],
  { rows, columns, output }: StridePosition,
): string | undefined {
  const size = [rows.taps.length, columns.taps.length] as const;
  const places = rows.taps.flatMap((r, row) =>
    columns.taps.flatMap((s, column) =>
      r === undefined || s === undefined ? [] : [{ tap: r * kernel[1] + s, place: row * size[1] + column }],
    ),
  );
  let sum: string | undefined;
  for (const { tap, place } of places) {
    sum = layouts.emit.sameKernel(at(shares, tap), oneHot(layouts, size, place), {
      kernel: size,
      pads: windowPads(rows, columns),
      output: output.slice(2),
      ...(sum === undefined ? {} : { sum }),
    });
  }
  return sum;
}

/** What each tap's elements get of dy, [N, C, P, Q] for each tap. */
function tapShares(layouts: Layouts, window: StridedWindow, { dy, x, y }: PoolOperands): readonly string[] {
  const { b } = layouts;
  const taps = window.kernel[0] * window.kernel[1];
  const steepMaximum = layouts.emit.times(layouts.blocked(y), STEEP);
  let left = layouts.blocked(dy);
  return Array.from({ length: taps }, (_, tap) => {
    if (tap === taps - 1) return left;
    const elements = elementsAt(layouts, window, layouts.blocked(x), tap);
    // min(max(STEEP · (y - x), 0), 1): 0 where the element is the maximum, 1 where it is less, or in the padding.
    const isLess = layouts.emit.sameKernel(
      elements.plane,
      oneHot(layouts, elements.size, elements.place, -STEEP),
      {
        kernel: elements.size,
        output: window.output,
        sum: infiniteOutside(layouts, steepMaximum, outsideOf(window, tap)),
        activation: CLIP_01,
      },
    );
    const rest = mul(b, left, isLess);
    const share = sub(b, left, rest);
    left = rest;
    return share;
  });
}

/** The elements of x at a tap of every window: those of a plane under the one place of a small window. */
interface TapElements {
  readonly plane: string;
  readonly size: readonly [height: number, width: number];
  readonly place: number;
}

/** Taps a whole number of strides apart share a plane. */
function elementsAt(layouts: Layouts, window: StridedWindow, x: string, tap: number): TapElements {
  const rows = planeAlong(window, 0, Math.floor(tap / window.kernel[1]));
  const columns = planeAlong(window, 1, tap % window.kernel[1]);
  const pads = windowPads(rows, columns);
  const plane = layouts.once(`every ${window.strides.join()} of ${x} padded by ${pads.join()}`, () =>
    layouts.emit.sameKernel(x, oneHot(layouts, [1, 1], 0), {
      kernel: [1, 1],
      strides: window.strides,
      pads,
      output: [rows.length, columns.length],
    }),
  );
  const size = [rows.length - window.output[0] + 1, columns.length - window.output[1] + 1] as const;
  return { plane, size, place: rows.shift * size[1] + columns.shift };
}

/** Every stride-th element of an axis, padded so that all taps that meet these find theirs from a whole shift on. */
interface AxisPlane {
  readonly pads: readonly [begin: number, end: number];
  readonly length: number;
  readonly shift: number;
}

function planeAlong(
  { kernel, strides, dilations, pads, input, output }: StridedWindow,
  axis: 0 | 1,
  tap: number,
): AxisPlane {
  const stride = strides[axis];
  const offsetOf = (index: number): number => index * dilations[axis] - pads[axis];
  const offset = offsetOf(tap);
  const alike = Array.from({ length: kernel[axis] }, (_, index) => offsetOf(index)).filter(
    (other) => (other - offset) % stride === 0,
  );
  const least = ((-offset % stride) + stride) % stride;
  const begin = Math.max(least, ...alike.map((other) => -other));
  const needed = (Math.max(...alike) + begin) / stride + output[axis];
  const end = Math.max(0, (needed - 1) * stride + 1 - begin - input[axis]);
  const length = Math.floor((input[axis] + begin + end - 1) / stride) + 1;
  return { pads: [begin, end], length, shift: (offset + begin) / stride };
}

/** The rows and columns of the output whose element at a tap lies in the padding. */
interface Outside {
  readonly rows: readonly number[];
  readonly columns: readonly number[];
  readonly output: readonly [height: number, width: number];
}

function outsideOf({ input, output, kernel, strides, dilations, pads }: StridedWindow, tap: number): Outside {
  const outside = (axis: 0 | 1, place: number): readonly number[] =>
    Array.from({ length: output[axis] }, (_, index) => index).filter((index) => {
      const position = index * strides[axis] + place * dilations[axis] - pads[axis];
      return position < 0 || position >= input[axis];
    });
  return { rows: outside(0, Math.floor(tap / kernel[1])), columns: outside(1, tap % kernel[1]), output };
}

/** An image on the output's grid, infinite there. */
function infiniteOutside(layouts: Layouts, image: string, outside: Outside): string {
  const { rows, columns } = outside;
  if (rows.length === 0 && columns.length === 0) return image;
  const key = `${rows.join()};${columns.join()}`;
  const value = layouts.once(`${image} infinite ${key}`, () =>
    add(layouts.b, byPosition(layouts, image), infiniteThere(layouts, outside, key)),
  );
  return reshape(layouts.b, value, layouts.b.dims(image));
}

/** Infinity at the output's elements outside, else 0; for one block of one image. */
function infiniteThere(layouts: Layouts, { rows, columns, output }: Outside, key: string): string {
  const { b, block } = layouts;
  const [height, width] = output;
  return layouts.once(`infinite ${key} of ${height} ${width}`, () => {
    const data = Float32Array.from({ length: height * width * block }, (_, index) => {
      const position = Math.floor(index / block);
      const isOutside = rows.includes(Math.floor(position / width)) || columns.includes(position % width);
      return isOutside ? Infinity : 0;
    });
    return b.floats("infinite_outside", [1, data.length], data);
  });
}

/** A blocked image as one row for each block of each image. */
function byPosition(layouts: Layouts, image: string): string {
  const [batch, channels, height, width] = dims4(layouts.b.dims(image));
  const { b, block } = layouts;
  return reshape(b, image, [(batch * channels) / block, height * width * block]);
}
