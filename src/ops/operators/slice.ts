import { at } from "../../graph/at.js";
import { shapeError } from "../../graph/shape_error.js";
import type { Dim, ValueType } from "../../graph/types.js";
import { sliceChannels } from "../channels/structure.js";
import { spreadOut } from "../composites/spread_out.js";
import {
  forwardContext,
  fullyKnown,
  intsArgument,
  needsConstant,
  normalizeAxes,
  partlyKnown,
  requiredInput,
  unknownDims,
} from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { stridesOf } from "../core/dims.js";
import { slice } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { stridedValue } from "../core/rearrange.js";
import { padOrCrop } from "../families/pad_or_crop.js";

/** Strided ranges of some axes (ONNX Slice; attributes up to opset 9, inputs from 10). */
export const Slice: OpDefinition = {
  type: "Slice",
  cost: noProducts,
  onBlocks: true,
  elements: "moved",
  shape: (context) => [sliceType(context)],
  value: (context) => {
    const [x] = context.values;
    const ranges = x === undefined ? undefined : sliceRanges(context, x.dims);
    if (x === undefined || ranges === undefined) return [undefined];
    const strides = stridesOf(x.dims);
    const offset = ranges.reduce((sum, range, axis) => sum + range.start * at(strides, axis), 0);
    return [
      stridedValue(
        x,
        ranges.map((range) => range.count),
        strides.map((stride, axis) => stride * at(ranges, axis).step),
        offset,
      ),
    ];
  },
  channels: sliceChannels,
  gradient: (context) => [sliceGradient(context)],
};

/** What a Slice takes of one axis: elements start, start + step, ..., `count` of them. */
export interface TakenRange {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

interface RawRange {
  readonly axis: number;
  readonly start: Dim;
  readonly end: Dim;
  readonly step: Dim;
}

/** The ranges as the node states them; undefined if it is not known which axes they concern. */
function rawRanges(context: NodeContext, rank: number): readonly RawRange[] | undefined {
  const { node } = context;
  const starts = partlyKnown(intsArgument(context, 1, "starts"));
  const ends = partlyKnown(intsArgument(context, 2, "ends"));
  const axesArgument = intsArgument(context, 3, "axes");
  const stepsArgument = intsArgument(context, 4, "steps");
  if (starts === undefined || ends === undefined) return undefined;
  const stated = axesArgument.kind === "absent" ? starts.map((_, index) => index) : fullyKnown(axesArgument);
  if (stated === undefined) return undefined;
  if (stated.length !== starts.length || ends.length !== starts.length) {
    throw shapeError(
      node,
      "starts, ends and axes differ in length",
      `${starts.length} of each`,
      `${ends.length} ends, ${stated.length} axes`,
    );
  }
  const steps = stepsArgument.kind === "absent" ? starts.map(() => 1) : partlyKnown(stepsArgument);
  return normalizeAxes(node, stated, rank).map((axis, index) => {
    const step = steps?.[index];
    if (step === 0) throw shapeError(node, "a step is zero", "a positive or negative step", "0");
    return { axis, start: starts[index], end: ends[index], step };
  });
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** ONNX's clamping of a range to an axis of known size. */
function takenRange({ start, end, step }: RawRange, dim: number): TakenRange | undefined {
  if (typeof start !== "number" || typeof end !== "number" || typeof step !== "number") return undefined;
  const fromEnd = (position: number): number => (position < 0 ? position + dim : position);
  const first = step > 0 ? clamp(fromEnd(start), 0, dim) : clamp(fromEnd(start), 0, dim - 1);
  const last = step > 0 ? clamp(fromEnd(end), 0, dim) : clamp(fromEnd(end), -1, dim - 1);
  return { start: first, step, count: Math.max(0, Math.ceil((last - first) / step)) };
}

/** From here on an end means "to the end" whatever the size of the axis. */
const BEYOND_ANY_SIZE = 2 ** 31 - 1;

function takesWholeAxis({ start, end, step }: RawRange, dim: Dim): boolean {
  if (start !== 0 || step !== 1) return false;
  return (typeof end === "number" && end >= BEYOND_ANY_SIZE) || (end !== undefined && end === dim);
}

function slicedDim(range: RawRange, dim: Dim): Dim {
  if (takesWholeAxis(range, dim)) return dim;
  return typeof dim === "number" ? takenRange(range, dim)?.count : undefined;
}

function sliceType(context: NodeContext): ValueType {
  const { elementType, shape } = requiredInput(context, 0);
  if (shape === undefined) return { elementType, shape };
  const ranges = rawRanges(context, shape.length);
  if (ranges === undefined) return { elementType, shape: unknownDims(shape.length) };
  const byAxis = new Map(ranges.map((range) => [range.axis, range]));
  return {
    elementType,
    shape: shape.map((dim, axis) => {
      const range = byAxis.get(axis);
      return range === undefined ? dim : slicedDim(range, dim);
    }),
  };
}

/**
 * What a Slice node takes of every axis of an input with the given dimensions; undefined where its
 * parameters are not constant.
 */
export function sliceRanges(
  context: NodeContext,
  dims: readonly number[],
): readonly TakenRange[] | undefined {
  const raw = rawRanges(context, dims.length);
  if (raw === undefined) return undefined;
  const byAxis = new Map(raw.map((range) => [range.axis, range]));
  const taken = dims.map((dim, axis) => {
    const range = byAxis.get(axis);
    return range === undefined ? { start: 0, step: 1, count: dim } : takenRange(range, dim);
  });
  return taken.every((range) => range !== undefined) ? taken : undefined;
}

/** Whether the node provably returns its input unchanged, also for axes of unknown size. */
export function isWholeSlice(context: NodeContext): boolean {
  const shape = context.inputs[0]?.shape;
  const ranges = shape === undefined ? undefined : rawRanges(context, shape.length);
  if (shape === undefined || ranges === undefined) return false;
  return ranges.every((range) => {
    const dim = shape[range.axis];
    if (takesWholeAxis(range, dim)) return true;
    return range.step === 1 && typeof dim === "number" && takenRange(range, dim)?.count === dim;
  });
}

// dx[start + i * step] = dy[i], zero elsewhere.
function sliceGradient(context: GradientContext): string | undefined {
  const { node, builder } = context;
  const [dy] = context.outputGradients;
  const [x] = node.inputs;
  if (dy === undefined || x === undefined) return undefined;
  const dims = context.dims(x);
  const ranges = sliceRanges(forwardContext(context), dims);
  if (ranges === undefined) throw needsConstant(node, "starts, ends, axes and steps");
  const ascending = ranges.map(ascendingRange);
  const spread = spreadOut(
    builder,
    reversed(builder, dy, ranges),
    ascending.map(({ step }) => step),
  );
  const sizes = ascending.map((range) => range.count * range.step);
  return padOrCrop(builder, spread, sizes, {
    begins: ascending.map((range) => range.start),
    ends: ascending.map((range, axis) => at(dims, axis) - range.start - at(sizes, axis)),
  });
}

/** The same elements in ascending order. */
function ascendingRange({ start, step, count }: TakenRange): TakenRange {
  if (count <= 1) return { start: count === 0 ? 0 : start, step: 1, count };
  return step > 0 ? { start, step, count } : { start: start + (count - 1) * step, step: -step, count };
}

function reversed(builder: Emitter, dy: string, ranges: readonly TakenRange[]): string {
  const descending = ranges.flatMap(({ step, count }, axis) =>
    step < 0 && count > 1 ? [{ axis, start: -1, end: -Infinity, step: -1 }] : [],
  );
  return descending.length === 0 ? dy : slice(builder, dy, descending);
}
