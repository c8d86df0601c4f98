import { floatAttribute } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { elementCount } from "../graph/tensor.js";
import type { Node } from "../graph/types.js";
import {
  allButChannels,
  channelSum,
  epsilonOf,
  inverseStandardDeviation,
  perChannel,
} from "./batch_normalization.js";
import type { TypedBuilder } from "./builder.js";
import { type OpDefinition, shapeError } from "./definition.js";
import { add, mul, reduceMean, reshape, sub } from "./emit.js";

/**
 * Batch normalization on batch statistics, a composite of Penni's own: inputs x [N, C, ...], scale, bias,
 * running mean and running variance [C]; outputs y, x - mean, 1 / sqrt(var + eps) [1, C, 1, ...], and the new
 * running statistics. It exists only while gradients are built: what is emitted are standard operators, and
 * the gradient is the closed form over them, with fewer passes over memory than differentiating each.
 */
export const BatchNormalizationTraining: OpDefinition = {
  type: "BatchNormalizationTraining",
  shape: ({ node }) => {
    throw shapeError(node, "a composite is emitted as standard operators and has no shape of its own");
  },
  // With c = x - mean, r = 1 / sqrt(var + eps), M elements per channel:
  // dbias = Σ dy, dscale = r Σ dy · c, dx = scale · r · (dy - dbias / M - c · r² · (Σ dy · c) / M).
  gradient: ({ builder: b, node, outputGradients: [dy], needs, dims }) => {
    const [x, scale] = node.inputs;
    const [, centered, inverseStd] = node.outputs;
    if (
      dy === undefined ||
      x === undefined ||
      scale === undefined ||
      centered === undefined ||
      inverseStd === undefined
    ) {
      return [];
    }
    const shape = dims(x);
    const perValue = b.scalar(-1 / elementsPerChannel(shape));
    const sumDy = channelSum(b, dy);
    const dot = channelDot(b, dy, centered);
    const dScale = mul(b, dot, reshape(b, inverseStd, [-1]));
    if (needs[0] !== true) return [undefined, dScale, sumDy];
    const gain = mul(b, perChannel(b, scale, shape.length), inverseStd);
    const share = mul(b, gain, perValue);
    const shift = mul(b, share, perChannel(b, sumDy, shape.length));
    const slope = mul(b, share, mul(b, mul(b, inverseStd, inverseStd), perChannel(b, dot, shape.length)));
    const dx = add(b, add(b, mul(b, dy, gain), mul(b, centered, slope)), shift);
    return [dx, dScale, sumDy];
  },
};

/** The forward pass of one BatchNormalization node on batch statistics. */
export interface EmittedBatchNormalization {
  /** Stands for the emitted nodes when gradients are built. */
  readonly composite: Node;
  readonly runningMean: string;
  readonly runningVariance: string;
}

/**
 * Emits `node` (ONNX BatchNormalization, inference form) on batch statistics, with the running statistics
 * updated as PyTorch does: running · momentum + batch · (1 - momentum), the variance there unbiased.
 */
export function emitBatchNormalizationTraining(b: TypedBuilder, node: Node): EmittedBatchNormalization {
  const [x, scale, bias, runningMean, runningVariance] = node.inputs;
  const [y] = node.outputs;
  if (
    x === undefined ||
    scale === undefined ||
    bias === undefined ||
    runningMean === undefined ||
    runningVariance === undefined ||
    y === undefined
  ) {
    throw new PenniError("bad-model", "an input or output is missing", { node: node.name, op: node.op });
  }
  const shape = b.dims(x);
  const count = elementsPerChannel(shape);
  const mean = reduceMean(b, x, allButChannels(shape.length), true);
  const centered = sub(b, x, mean);
  const variance = mul(b, channelDot(b, centered, centered), b.scalar(1 / count));
  const inverseStd = perChannel(b, inverseStandardDeviation(b, variance, epsilonOf(node)), shape.length);
  const gain = mul(b, inverseStd, perChannel(b, scale, shape.length));
  b.emit("Add", [mul(b, centered, gain), perChannel(b, bias, shape.length)], { outputs: [y] });

  const momentum = floatAttribute(node, "momentum") ?? 0.9;
  const unbiased = (1 - momentum) * (count / Math.max(1, count - 1));
  const newMean = blend(b, runningMean, momentum, reshape(b, mean, [-1]), 1 - momentum);
  const newVariance = blend(b, runningVariance, momentum, variance, unbiased);
  const composite: Node = {
    ...node,
    op: BatchNormalizationTraining.type,
    domain: "penni",
    outputs: [y, centered, inverseStd, newMean, newVariance],
  };
  return { composite, runningMean: newMean, runningVariance: newVariance };
}

function blend(b: TypedBuilder, old: string, keep: number, batch: string, take: number): string {
  return add(b, mul(b, old, b.scalar(keep)), mul(b, batch, b.scalar(take)));
}

function elementsPerChannel(dims: readonly number[]): number {
  return elementCount(dims) / (dims[1] ?? 1);
}

/** Σ over batch and space of a · c, by channel: [N, C, ...] twice -> [C]. */
function channelDot(b: TypedBuilder, a: string, c: string): string {
  return channelSum(b, mul(b, a, c));
}
