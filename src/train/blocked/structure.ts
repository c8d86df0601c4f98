import { at, dims4, inputOf, outputOf } from "../../graph/at.js";
import { int, ints } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { slice as emitSlice } from "../../ops/core/emit.js";
import { spatialRepetition } from "../../ops/families/axis_map.js";
import { concatAxis } from "../../ops/operators/concat.js";
import { resizedAxes } from "../../ops/operators/resize.js";
import { sliceRanges, type TakenRange } from "../../ops/operators/slice.js";
import { splitAxis, splitSizes } from "../../ops/operators/split.js";
import { MOST_WASTE, waste } from "./convolution.js";
import type { Layouts } from "./layouts.js";
import { withMargins } from "./margins.js";

/** The channels of an image [N, C, H, W]; in the blocked form as well, whose blocks are contiguous. */
const CHANNELS = 1;

/** Concat of channels, where all pieces but the last are whole blocks. */
export function concat(layouts: Layouts, node: Node): boolean {
  const y = outputOf(node, 0);
  if (!layouts.isImage(y) || concatAxis(node, 4) !== CHANNELS) return false;
  if (!node.inputs.some((name) => layouts.isBlocked(name))) return false;
  const sizes = node.inputs.map((name) => layouts.channels(name));
  if (!areWholeButTheLast(layouts, sizes)) return false;
  const pieces = node.inputs.map((name) => layouts.blocked(name));
  layouts.setBlocked(y, layouts.b.emit("Concat", pieces, { attributes: { axis: int(CHANNELS) } }));
  return true;
}

/** Split of channels, likewise. */
export function split(layouts: Layouts, node: Node): boolean {
  const x = inputOf(node, 0);
  if (!layouts.isBlocked(x) || splitAxis(node, 4) !== CHANNELS) return false;
  const sizes = splitSizes(layouts.context(node), layouts.dims(x)[CHANNELS]);
  const known = sizes.filter((size) => typeof size === "number");
  if (known.length < sizes.length || !areWholeButTheLast(layouts, known)) return false;
  const { b } = layouts;
  const outputs = node.outputs.map((name) => b.freshName(`blocked_${name}`));
  b.emit("Split", [layouts.blocked(x), b.axes(known.map((size) => layouts.padded(size)))], {
    outputs,
    attributes: { axis: int(CHANNELS) },
  });
  node.outputs.forEach((name, index) => {
    layouts.setBlocked(name, at(outputs, index));
  });
  return true;
}

function areWholeButTheLast(layouts: Layouts, sizes: readonly number[]): boolean {
  return sizes.slice(0, -1).every((size) => layouts.padded(size) === size);
}

/** Slice of ranges of channels, rows and columns, or of every n-th row and column from the first on. */
export function slice(layouts: Layouts, node: Node): boolean {
  const x = inputOf(node, 0);
  const y = outputOf(node, 0);
  if (!layouts.isBlocked(x)) return false;
  const dims = layouts.dims(x);
  const taken = sliceRanges(layouts.context(node), dims);
  if (taken === undefined) return false;
  const ranges = taken.map((range, axis) => ({ ...range, dim: at(dims, axis) }));
  const value = slicedBlocks(layouts, x, ranges) ?? slicedRanges(layouts, x, y, ranges);
  if (value === undefined) return false;
  layouts.setBlocked(y, value);
  return true;
}

/** By pooling over windows of one element, or by margins, all of them negative. */
function slicedRanges(
  layouts: Layouts,
  x: string,
  y: string,
  ranges: readonly AxisRange[],
): string | undefined {
  const space = ranges.slice(2);
  if (ranges.slice(0, 2).every(isWhole) && space.every(isEveryNth)) return everyNth(layouts, x, y, space);
  if (ranges.some(({ step }) => step !== 1)) return undefined;
  return withMargins(layouts, x, y, {
    begins: ranges.map(({ start }) => -start),
    ends: ranges.map(({ start, count, dim }) => start + count - dim),
  });
}

interface AxisRange extends TakenRange {
  readonly dim: number;
}

const isWhole = ({ start, step, count, dim }: AxisRange): boolean =>
  start === 0 && step === 1 && count === dim;

const isEveryNth = ({ start, step, count, dim }: AxisRange): boolean =>
  start === 0 && step > 0 && count === Math.ceil(dim / step);

/** Whole blocks of channels; undefined where it is not that. */
function slicedBlocks(layouts: Layouts, x: string, ranges: readonly AxisRange[]): string | undefined {
  const channels = ranges[CHANNELS];
  const others = ranges.filter((_, axis) => axis !== CHANNELS);
  if (channels === undefined || channels.step !== 1 || !others.every(isWhole)) return undefined;
  const end = channels.start + channels.count;
  const endsBlock = end === channels.dim || end % layouts.block === 0;
  if (channels.start % layouts.block !== 0 || !endsBlock) return undefined;
  return emitSlice(layouts.b, layouts.blocked(x), [
    { axis: CHANNELS, start: channels.start, end: layouts.padded(end) },
  ]);
}

function everyNth(layouts: Layouts, x: string, y: string, space: readonly AxisRange[]): string {
  return layouts.emit.operator("MaxPool", [layouts.blocked(x)], layouts.blockedDims(y), {
    kernel_shape: ints([1, 1]),
    strides: ints(space.map(({ step }) => step)),
  });
}

/** Resize that repeats every element. */
export function resize(layouts: Layouts, node: Node): boolean {
  const x = inputOf(node, 0);
  const y = outputOf(node, 0);
  if (!layouts.isBlocked(x)) return false;
  const dims = layouts.dims(x);
  const maps = resizedAxes(layouts.context(node), dims, layouts.dims(y));
  const repeats = maps === undefined ? undefined : spatialRepetition(maps, dims.length);
  if (repeats === undefined) return false;
  layouts.setBlocked(y, layouts.emit.repeat(layouts.blocked(x), repeats));
  return true;
}

/** Expand of one number for each channel and image over the space; of so many channels that padding them is worth it. */
export function expand(layouts: Layouts, node: Node): boolean {
  const x = inputOf(node, 0);
  const y = outputOf(node, 0);
  if (!layouts.isImage(x) || !layouts.isImage(y)) return false;
  const [batch, channels, ...space] = dims4(layouts.dims(y));
  if (layouts.dims(x).join() !== [batch, channels, 1, 1].join()) return false;
  if (waste(layouts, channels) > MOST_WASTE) return false;
  layouts.setBlocked(y, layouts.emit.repeat(layouts.blocked(x), space));
  return true;
}
