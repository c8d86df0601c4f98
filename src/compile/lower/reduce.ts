import { at, orDefault } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import { normalizeAxis } from "../../ops/core/arguments.js";
import { stridesOf } from "../../ops/core/dims.js";
import { axesFrom, reducedAxes } from "../../ops/families/reduce.js";
import { constant, select, unary } from "../kernel_builder.js";
import { argMaxKernel } from "../kernels/arg_max.js";
import {
  add,
  exponential,
  larger,
  logarithm,
  magnitude,
  multiply,
  type Place,
  smaller,
  subtract,
} from "../kernels/functions.js";
import { type Folding, reduceKernel, reductionScratch } from "../kernels/reduce.js";
import type { Value } from "../loops.js";
import type { Location } from "../program.js";
import type { Lower, LoweringContext } from "./definition.js";
import { notConstant, unsupported } from "./errors.js";
import { mapViews, type StridedView, viewOf } from "./movement.js";

const itself = (_: Place, x: Value): Value => x;

export const sumOf: Folding = { name: "sum", each: itself, combine: add, finish: itself };
export const sumOfSquares: Folding = { ...sumOf, name: "sum_of_squares", each: (_, x) => multiply(x, x) };
export const maximumOf: Folding = { name: "maximum", each: itself, combine: larger, finish: itself };

/** The same total times a number. */
export const scaled = (folding: Folding, factor: number): Folding => ({
  ...folding,
  finish: (place, total) => folding.finish(place, multiply(total, constant(factor))),
});

/** Foldings by operator; those that need to know how many elements there are get their number. */
export const foldings = {
  ReduceL1: () => ({ ...sumOf, name: "sum_of_sizes", each: (_, x) => magnitude(x) }),
  ReduceL2: () => ({ ...sumOfSquares, name: "length", finish: (_, total) => unary("squareRoot", total) }),
  ReduceLogSum: () => ({ ...sumOf, name: "log_of_sum", finish: logarithm }),
  ReduceMax: () => maximumOf,
  ReduceMean: (count) => ({ ...scaled(sumOf, 1 / count), name: "mean" }),
  ReduceMin: () => ({ ...maximumOf, name: "minimum", combine: smaller }),
  ReduceProd: () => ({ ...sumOf, name: "product", combine: multiply }),
  ReduceSum: () => sumOf,
  ReduceSumSquare: () => sumOfSquares,
} as const satisfies Readonly<Record<string, (count: number) => Folding>>;

/** Folds a view along some axes into row-major order of the others. */
export function reduceAxes(
  context: LoweringContext,
  folding: Folding,
  dims: readonly number[],
  axes: readonly number[],
  from: StridedView,
  to: Location,
): void {
  const kept = dims.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const pick = (values: readonly number[], chosen: readonly number[]): readonly number[] =>
    chosen.map((axis) => at(values, axis));
  const reduced = pick(dims, axes);
  if (elementCount(reduced) === 0) throw unsupported(context, "elements to reduce", "none");
  if (elementCount(dims) === 0) return;
  const reduction = {
    ...folding,
    kept: pick(dims, kept),
    keptStrides: pick(from.strides, kept),
    reduced,
    reducedStrides: pick(from.strides, axes),
  };
  const scratch = context.scratch(reductionScratch(context.width));
  context.call(reduceKernel(reduction, context.width), [from.location, scratch, to]);
}

/** Strides by which a result of `reduceAxes` is broadcast over the axes again. */
export function spreadStrides(dims: readonly number[], axes: readonly number[]): readonly number[] {
  const strides = stridesOf(dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim)));
  return strides.map((stride, axis) => (axes.includes(axis) ? 0 : stride));
}

/** ReduceSum and its kin. */
export function reductionLowering(folding: (count: number) => Folding): Lower {
  return (context) => {
    const { dims, axes } = operands(context);
    const from = viewOf(context.read(0), dims);
    const count = elementCount(axes.map((axis) => at(dims, axis)));
    reduceAxes(context, folding(count), dims, axes, from, context.write());
  };
}

function operands(context: LoweringContext): {
  readonly dims: readonly number[];
  readonly axes: readonly number[];
} {
  const dims = context.inputDims(0);
  const axes = reducedAxes(context, dims.length);
  if (axes === undefined) throw notConstant(context, "axes");
  return { dims, axes };
}

/** ln sum e^x = m + ln sum e^(x - m) with the maximum m, or 0 where that is infinite. */
export const lowerReduceLogSumExp: Lower = (context) => {
  const { dims, axes } = operands(context);
  const from = viewOf(context.read(0), dims);
  const kept = context.outputDims();
  const count = elementCount(kept);
  const largest = context.scratch(count);
  reduceAxes(context, { ...maximumOf, finish: (_, x) => finiteOrZero(x) }, dims, axes, from, largest);
  const powers = context.scratch(elementCount(dims));
  const spread = { location: largest, strides: spreadStrides(dims, axes) };
  exponentials(context, dims, from, spread, powers);
  const sums = context.scratch(count);
  reduceAxes(context, sumOf, dims, axes, viewOf(powers, dims), sums);
  mapViews(
    context,
    {
      name: "log_of_sum",
      dims: [count],
      compute: (operands, k, lanes) => add(at(operands, 0), logarithm({ k, lanes }, at(operands, 1))),
    },
    [viewOf(largest, [count]), viewOf(sums, [count])],
    viewOf(context.write(), [count]),
  );
};

function finiteOrZero(x: Value): Value {
  return select(magnitude(x), "less", constant(Number.POSITIVE_INFINITY), x, constant(0));
}

/** e^(x - m) for all elements of a view. */
export function exponentials(
  context: LoweringContext,
  dims: readonly number[],
  from: StridedView,
  largest: StridedView,
  to: Location,
): void {
  mapViews(
    context,
    {
      name: "exponentials",
      dims,
      compute: (operands, k, lanes) => exponential({ k, lanes }, subtract(at(operands, 0), at(operands, 1))),
    },
    [from, largest],
    viewOf(to, dims),
  );
}

export const lowerArgMax: Lower = (context) => {
  const dims = context.inputDims(0);
  const axis = normalizeAxis(context.node, orDefault(intAttribute(context.node, "axis"), 0), dims.length);
  const search = {
    outer: elementCount(dims.slice(0, axis)),
    size: at(dims, axis),
    inner: elementCount(dims.slice(axis + 1)),
    chosen: intAttribute(context.node, "select_last_index") === 1 ? "last" : "first",
  } as const;
  context.call(argMaxKernel(search, context.width), [context.read(0), context.write()]);
};

/** GlobalAveragePool and GlobalMaxPool: over all but batch and channels. */
export const globalPoolLowering = (folding: (count: number) => Folding): Lower => {
  return (context) => {
    const dims = context.inputDims(0);
    const axes = axesFrom(2, dims.length);
    const count = elementCount(dims.slice(2));
    reduceAxes(context, folding(count), dims, axes, viewOf(context.read(0), dims), context.write());
  };
};

export const lowerGlobalAveragePool = globalPoolLowering((count) => scaled(sumOf, 1 / count));
export const lowerGlobalMaxPool = globalPoolLowering(() => maximumOf);
