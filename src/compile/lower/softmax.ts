import { elementCount } from "../../graph/tensor.js";
import { normalisedAxes } from "../../ops/families/softmax_axes.js";
import { constant } from "../kernel_builder.js";
import { divide, logarithm, type Place, subtract } from "../kernels/functions.js";
import type { Value } from "../loops.js";
import type { Location } from "../program.js";
import type { Lower, LoweringContext } from "./definition.js";
import { mapViews, type StridedView, viewOf } from "./movement.js";
import { exponentials, maximumOf, reduceAxes, spreadStrides, sumOf } from "./reduce.js";

/** What a softmax is made of. */
interface SoftmaxParts {
  readonly dims: readonly number[];
  readonly axes: readonly number[];
  readonly input: StridedView;
  /** Maxima along the axes. */
  readonly largest: StridedView;
  /** e^(x - maximum), and their sums along the axes. */
  readonly powers: Location;
  readonly sums: StridedView;
}

/** e^(x - m) / sum. */
export const lowerSoftmax: Lower = (context) => {
  const output = context.write();
  const { dims, sums } = softmaxParts(context, output);
  const compute = ([power = constant(0), sum = constant(1)]: readonly Value[]): Value => divide(power, sum);
  mapViews(context, { name: "softmax", dims, compute }, [viewOf(output, dims), sums], viewOf(output, dims));
};

/** x - m - ln sum. */
export const lowerLogSoftmax: Lower = (context) => {
  const output = context.write();
  const { dims, axes, input, largest, sums } = softmaxParts(context, output);
  const count = elementCount(dims.filter((_, axis) => !axes.includes(axis)));
  const logarithms = context.scratch(count);
  const sumsView = viewOf(sums.location, [count]);
  const logarithmOf = (place: Place, x: Value): Value => logarithm(place, x);
  mapViews(
    context,
    {
      name: "logarithms",
      dims: [count],
      compute: ([x = constant(1)], k, lanes) => logarithmOf({ k, lanes }, x),
    },
    [sumsView],
    viewOf(logarithms, [count]),
  );
  const compute = ([x = constant(0), m = constant(0), l = constant(0)]: readonly Value[]): Value =>
    subtract(subtract(x, m), l);
  const spread = { location: logarithms, strides: spreadStrides(dims, axes) };
  mapViews(context, { name: "log_softmax", dims, compute }, [input, largest, spread], viewOf(output, dims));
};

/** @param powers memory for the exponentials */
function softmaxParts(context: LoweringContext, powers: Location): SoftmaxParts {
  const dims = context.inputDims(0);
  const axes = normalisedAxes(context.node, context.opset, dims.length);
  const count = elementCount(dims.filter((_, axis) => !axes.includes(axis)));
  const strides = spreadStrides(dims, axes);
  const input = viewOf(context.read(0), dims);
  const largest = { location: context.scratch(count), strides };
  reduceAxes(context, maximumOf, dims, axes, input, largest.location);
  exponentials(context, dims, input, largest, powers);
  const sums = { location: context.scratch(count), strides };
  reduceAxes(context, sumOf, dims, axes, viewOf(powers, dims), sums.location);
  return { dims, axes, input, largest, powers, sums };
}
