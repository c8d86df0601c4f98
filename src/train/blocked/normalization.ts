import { hasInput, inputOf, outputOf } from "../../graph/at.js";
import { firstOf, inputsOf, outputOrOmitted, outputsOf } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";
import { inputGradientFactors } from "../../ops/composites/batch_normalization_gradient.js";
import { runningStatistics } from "../../ops/composites/batch_normalization_training.js";
import { compositeInputs } from "../../ops/core/composite.js";
import { add, mul, neg, sub } from "../../ops/core/emit.js";
import { elementsPerChannel, epsilonOf, inverseStandardDeviation } from "../../ops/families/normalization.js";
import type { Layouts } from "./layouts.js";

/** x less a constant per channel that is near its mean. */
interface NearZeroMean {
  readonly value: string;
  /** What was subtracted, [C]; undefined for zero. */
  readonly by: string | undefined;
}

/**
 * BatchNormalizationTraining in three passes: Σ x', Σ x'², and scale and shift, where x' = x - running mean: that
 * is near zero mean, so E[x'²] - E[x']² loses no digits, and subtracting it costs nothing at the end of the
 * convolution that computes x. x' stands for the output x - mean, shifted by what is left of it.
 */
export function batchNormalization(layouts: Layouts, node: Node): boolean {
  const [x, scale, bias, runningMean] = compositeInputs(node, 5);
  if (!layouts.isBlocked(x)) return false;
  const { b } = layouts;
  const dims = layouts.dims(x);
  const channels = layouts.channels(x);
  const perElement = b.scalar(1 / elementsPerChannel(dims));
  const shifted = nearZeroMean(layouts, x, layouts.plain(runningMean), perElement);
  const mean = mul(b, layouts.emit.channelSum(shifted.value, channels), perElement);
  const square = mul(b, layouts.emit.channelDot(shifted.value, shifted.value, channels), perElement);
  const variance = b.emit("Max", [sub(b, square, mul(b, mean, mean)), b.scalar(0)]);
  const inverseStd = inverseStandardDeviation(b, variance, epsilonOf(node));
  const gain = mul(b, inverseStd, layouts.plain(scale));
  const y = layouts.emit.scale(shifted.value, layouts.emit.pad(gain), {
    bias: layouts.emit.pad(sub(b, layouts.plain(bias), mul(b, gain, mean))),
  });
  const [yName, centeredName, stdName, meanName, varianceName] = outputsOf(node, 5);
  layouts.setBlocked(yName, y);
  layouts.setShifted(centeredName, { value: shifted.value, mean });
  layouts.setPlain(stdName, inverseStd);
  const batchMean = shifted.by === undefined ? mean : add(b, mean, shifted.by);
  const [newMean, newVariance] = runningStatistics(b, node, dims, batchMean, variance);
  layouts.setPlain(meanName, newMean);
  layouts.setPlain(varianceName, newVariance);
  return true;
}

/** x less the running mean where a convolution can subtract it, else less its own mean, in a pass of its own. */
function nearZeroMean(layouts: Layouts, x: string, runningMean: string, perElement: string): NearZeroMean {
  const { b } = layouts;
  const channels = layouts.channels(x);
  const value = layouts.blocked(x);
  const conv = layouts.fusion.openConv(x);
  if (conv === undefined) {
    const mean = mul(b, layouts.emit.channelSum(value, channels), perElement);
    const ones = layouts.fill(channels, 1);
    return { value: layouts.emit.scale(value, ones, { bias: layouts.emit.pad(neg(b, mean)) }), by: mean };
  }
  const [input, filter] = inputsOf(conv, 2);
  const shift = layouts.emit.pad(neg(b, runningMean));
  const shiftedBias = hasInput(conv, 2) ? add(b, inputOf(conv, 2), shift) : shift;
  layouts.fusion.replaceLast(conv, { inputs: [input, filter, shiftedBias, ...conv.inputs.slice(3)] });
  return { value, by: runningMean };
}

/**
 * BatchNormalizationGradient in four passes: two sums, and dx = gain · dy + (slope · x' + shift); with m the mean of x',
 * Σ dy · (x' - m) = Σ dy · x' - m Σ dy.
 */
export function batchNormalizationGradient(layouts: Layouts, node: Node): boolean {
  const [dy, centered, scale, inverseStd] = compositeInputs(node, 4);
  const shifted = layouts.shifted(centered);
  if (shifted === undefined) return false;
  const { value, mean } = shifted;
  const { b } = layouts;
  const channels = layouts.channels(dy);
  const blockedDy = layouts.blocked(dy);
  const sum = layouts.emit.channelSum(blockedDy, channels);
  const dot = sub(b, layouts.emit.channelDot(blockedDy, value, channels), mul(b, mean, sum));
  const std = layouts.plain(inverseStd);
  layouts.setPlain(outputOrOmitted(node, 1), mul(b, dot, std));
  layouts.setPlain(outputOrOmitted(node, 2), sum);
  const dx = outputOrOmitted(node, 0);
  if (dx === "") return true;
  const names = { scale: layouts.plain(scale), inverseStd: std, sum, dot };
  const { gain, slope, shift } = inputGradientFactors(b, names, layouts.dims(dy));
  const bias = layouts.emit.pad(sub(b, shift, mul(b, slope, mean)));
  const fromShifted = layouts.emit.scale(value, layouts.emit.pad(slope), { bias });
  layouts.setBlocked(dx, layouts.emit.scale(blockedDy, layouts.emit.pad(gain), { sum: fromShifted }));
  return true;
}

/** BatchNormalization in its inference form: one scale and shift. */
export function frozenBatchNormalization(layouts: Layouts, node: Node): boolean {
  const [x, ...parameters] = inputsOf(node, 5);
  if (!layouts.isBlocked(x) || node.outputs.slice(1).some((name) => name !== "")) return false;
  const { b } = layouts;
  const [scale, bias, mean, variance] = firstOf(
    parameters.map((name) => layouts.plain(name)),
    4,
  );
  const gain = mul(b, scale, inverseStandardDeviation(b, variance, epsilonOf(node)));
  const shift = sub(b, bias, mul(b, gain, mean));
  layouts.setBlocked(
    outputOf(node, 0),
    layouts.emit.scale(layouts.blocked(x), layouts.emit.pad(gain), { bias: layouts.emit.pad(shift) }),
  );
  return true;
}
