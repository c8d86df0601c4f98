import { at, orDefault } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import { normalizeAxis } from "../../ops/core/arguments.js";
import { broadcastStrides } from "../../ops/core/broadcast.js";
import { epsilonOf } from "../../ops/families/normalization.js";
import { axesFrom } from "../../ops/families/reduce.js";
import { lrnParameters, lrnWindow } from "../../ops/operators/lrn.js";
import { constant, multiplyAdd, unary } from "../kernel_builder.js";
import { add, divide, multiply, once, power, subtract } from "../kernels/functions.js";
import type { Value } from "../loops.js";
import type { Location } from "../program.js";
import { behind } from "../program_builder.js";
import type { Lower, LoweringContext } from "./definition.js";
import { combine } from "./elementwise.js";
import { notConstant, unsupported } from "./errors.js";
import { copyStrided, fill, mapViews, type StridedView, viewOf } from "./movement.js";
import { reduceAxes, scaled, spreadStrides, sumOf, sumOfSquares } from "./reduce.js";

const one = constant(1);

/** Scale and shift of a normalization, as they meet its elements; without a shift where that is absent. */
interface Affine {
  readonly scale: StridedView;
  readonly shift: StridedView | undefined;
}

/** Means and 1 / sqrt(variance + epsilon) along the axes, in row-major order of the others. */
interface Statistics {
  readonly means: Location;
  readonly inverses: Location;
}

/** (x - mean) / sqrt(variance + epsilon) * scale + shift along some axes of an input seen with dimensions `dims`. */
function standardize(
  context: LoweringContext,
  dims: readonly number[],
  axes: readonly number[],
  { scale, shift }: Affine,
): Statistics {
  const kept = elementCount(dims.filter((_, axis) => !axes.includes(axis)));
  const reduced = elementCount(dims) / Math.max(1, kept);
  const output = context.write();
  const input = viewOf(context.read(0), dims);
  const all = viewOf(output, dims);
  const spread = (location: Location): StridedView => ({ location, strides: spreadStrides(dims, axes) });
  const means = context.scratch(kept);
  reduceAxes(context, scaled(sumOf, 1 / reduced), dims, axes, input, means);
  const compute = (values: readonly Value[]): Value => subtract(at(values, 0), at(values, 1));
  mapViews(context, { name: "centred", dims, compute }, [input, spread(means)], all);
  const inverses = context.scratch(kept);
  const epsilon = constant(epsilonOf(context.node));
  const inverse = {
    ...sumOfSquares,
    name: "inverse_deviation",
    finish: (_: unknown, sum: Value): Value => {
      const variance = multiply(sum, constant(1 / reduced));
      return divide(one, unary("squareRoot", add(variance, epsilon)));
    },
  };
  reduceAxes(context, inverse, dims, axes, all, inverses);
  const views = [all, spread(inverses), scale, ...(shift === undefined ? [] : [shift])];
  mapViews(
    context,
    {
      name: "standardized",
      dims,
      compute: (operands) => {
        const standardized = multiply(at(operands, 0), at(operands, 1));
        const [weight, bias] = [at(operands, 2), operands[3]];
        return bias === undefined ? multiply(standardized, weight) : multiplyAdd(standardized, weight, bias);
      },
    },
    views,
    all,
  );
  return { means, inverses };
}

export const lowerLayerNormalization: Lower = (context) => {
  const dims = context.inputDims(0);
  const axis = normalizeAxis(context.node, orDefault(intAttribute(context.node, "axis"), -1), dims.length);
  const parameter = (index: number): StridedView => ({
    location: context.read(index),
    strides: broadcastStrides(context.inputDims(index), dims),
  });
  const affine = { scale: parameter(1), shift: context.hasInput(2) ? parameter(2) : undefined };
  const { means, inverses } = standardize(context, dims, axesFrom(axis, dims.length), affine);
  const count = elementCount(dims.slice(0, axis));
  [means, inverses].forEach((statistic, index) => {
    if (!context.hasOutput(index + 1)) return;
    const to = viewOf(context.write(index + 1), [count]);
    copyStrided(context, [count], viewOf(statistic, [count]), to);
  });
};

/** The first input as images [N, C, ...]. */
function imagesOf(context: LoweringContext): {
  readonly batch: number;
  readonly channels: number;
  readonly space: readonly number[];
} {
  const [batch, channels, ...space] = context.inputDims(0);
  if (batch === undefined || channels === undefined)
    throw unsupported(context, "an input [N, C, ...]", `[${context.inputDims(0).join(", ")}]`);
  return { batch, channels, space };
}

/** A parameter of one element for each channel of [N, C, ...]. */
function perChannel(context: LoweringContext, index: number, rank: number): StridedView {
  return {
    location: context.read(index),
    strides: Array.from({ length: rank }, (_, axis) => Number(axis === 1)),
  };
}

export const lowerInstanceNormalization: Lower = (context) => {
  const dims = context.inputDims(0);
  const affine = {
    scale: perChannel(context, 1, dims.length),
    shift: perChannel(context, 2, dims.length),
  };
  standardize(context, dims, axesFrom(2, dims.length), affine);
};

/** Over [N, groups, C / groups, pixels]; scale and shift have an element per group up to opset 20, then per channel. */
export const lowerGroupNormalization: Lower = (context) => {
  const { batch, channels, space } = imagesOf(context);
  const groups = intAttribute(context.node, "num_groups");
  if (groups === undefined) throw unsupported(context, "num_groups", "none");
  const size = channels / groups;
  if (!Number.isInteger(size)) throw unsupported(context, `a multiple of ${groups} channels`, `${channels}`);
  const dims = [batch, groups, size, elementCount(space)];
  const parameter = (index: number): StridedView => ({
    location: context.read(index),
    strides: elementCount(context.inputDims(index)) === channels ? [0, size, 1, 0] : [0, 1, 0, 0],
  });
  standardize(context, dims, [2, 3], { scale: parameter(1), shift: parameter(2) });
};

/** x * scale / sqrt(variance + epsilon) + (bias - mean * ...), where no convolution took it up. */
export const lowerBatchNormalization: Lower = (context) => {
  if (intAttribute(context.node, "training_mode") === 1)
    throw unsupported(context, "training_mode absent or 0", "1");
  const dims = context.inputDims(0);
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((index) => context.constantData(index));
  if (scale === undefined || bias === undefined || mean === undefined || variance === undefined)
    throw notConstant(context, "scale, bias, mean and variance");
  const epsilon = epsilonOf(context.node);
  const factors = scale.map((value, channel) => value / Math.sqrt(at(variance, channel) + epsilon));
  const offsets = bias.map((value, channel) => value - at(mean, channel) * at(factors, channel));
  const strides = dims.map((_, axis) => Number(axis === 1));
  const view = (data: Float32Array): StridedView => ({ location: context.weights(data), strides });
  const sources = [viewOf(context.read(0), dims), view(factors), view(offsets)];
  combine(context, "batch_normalization", sources, (operands) =>
    multiplyAdd(at(operands, 0), at(operands, 1), at(operands, 2)),
  );
};

/** Sums of more squares than this are looped over: written out, they make long code. */
const MOST_WRITTEN_OUT = 16;

/** x / (k + alpha / n * sum of squares of n channels)^beta; squares lie between channels of zeros. */
export const lowerLrn: Lower = (context) => {
  const { batch, channels, space } = imagesOf(context);
  const pixels = elementCount(space);
  const { size, alpha, beta, bias } = lrnParameters(context.node);
  const { before, after } = lrnWindow(context.node, channels);
  const count = before + 1 + after;
  const dims = [batch, channels, pixels];
  const wide = [batch, before + channels + after, pixels];
  const squares = context.scratch(elementCount(wide));
  fill(context, squares, elementCount(wide), 0);
  const input = viewOf(context.read(0), dims);
  mapViews(
    context,
    {
      name: "squares",
      dims,
      compute: (operands, k, lanes) => {
        const value = once({ k, lanes }, at(operands, 0));
        return multiply(value, value);
      },
    },
    [input],
    viewOf(squares, wide, [0, before, 0]),
  );
  const neighbours = Array.from({ length: Math.min(count, MOST_WRITTEN_OUT) }, (_, index) => ({
    ...viewOf(squares, wide),
    location: behind(squares, index * pixels),
  }));
  const summands =
    count <= MOST_WRITTEN_OUT
      ? neighbours
      : [channelSums(context, [batch, channels, pixels], count, squares)];
  mapViews(
    context,
    {
      name: "local_response",
      dims,
      compute: (operands, k, lanes) => {
        const place = { k, lanes };
        const [x, others] = [at(operands, 0), operands.slice(1)];
        const sum = once(place, others.reduce(add));
        const scale = multiplyAdd(sum, constant(alpha / size), constant(bias));
        return multiply(x, power(place, scale, constant(-beta)));
      },
    },
    [input, ...summands],
    viewOf(context.write(), dims),
  );
};

/** For each channel, the sum of `count` channels of `wide` from the one with its number on. */
function channelSums(
  context: LoweringContext,
  [batch, channels, pixels]: readonly [batch: number, channels: number, pixels: number],
  count: number,
  wide: Location,
): StridedView {
  const sums = context.scratch(batch * channels * pixels);
  const [row, plane] = [pixels, (channels + count - 1) * pixels];
  const from = { location: wide, strides: [plane, row, 1, row] };
  reduceAxes(context, sumOf, [batch, channels, pixels, count], [3], from, sums);
  return viewOf(sums, [batch, channels, pixels]);
}
