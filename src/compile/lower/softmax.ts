import { at } from "../../graph/at.js";
import { elementCount } from "../../graph/tensor.js";
import { normalisedAxes } from "../../ops/families/softmax_axes.js";
import { divide, logarithm, subtract } from "../kernels/functions.js";
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
  const compute = (operands: readonly Value[]): Value => divide(at(operands, 0), at(operands, 1));
  mapViews(context, { name: "softmax", dims, compute }, [viewOf(output, dims), sums], viewOf(output, dims));
};

/** x - m - ln sum. */
export const lowerLogSoftmax: Lower = (context) => {
  const output = context.write();
  const { dims, axes, input, largest, sums } = softmaxParts(context, output);
  const count = elementCount(dims.filter((_, axis) => !axes.includes(axis)));
  const logarithms = context.scratch(count);
  const sumsView = viewOf(sums.location, [count]);
  mapViews(
    context,
    {
      name: "logarithms",
      dims: [count],
      compute: (operands, k, lanes) => logarithm({ k, lanes }, at(operands, 0)),
    },
    [sumsView],
    viewOf(logarithms, [count]),
  );
  const compute = (operands: readonly Value[]): Value =>
    subtract(subtract(at(operands, 0), at(operands, 1)), at(operands, 2));
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
