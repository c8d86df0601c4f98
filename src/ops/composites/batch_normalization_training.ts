import { float, floatAttributeOr } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { shapeError } from "../../graph/shape_error.js";
import type { Node } from "../../graph/types.js";
import { checkPerChannel } from "../core/arguments.js";
import { compositeInputs, emitComposite, PENNI_DOMAIN } from "../core/composite.js";
import type { OpDefinition } from "../core/definition.js";
import { onlyInTraining } from "../core/definition.js";
import { add, mul, reduceMean, reshape, sub } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import {
  allButChannels,
  channelDot,
  elementsPerChannel,
  epsilonOf,
  inverseStandardDeviation,
  perChannel,
} from "../families/normalization.js";

/**
 * Batch normalization on batch statistics, a composite: x [N, C, ...], scale, bias, running mean and running
 * variance [C] -> y and c = x - mean (as x), r = 1 / sqrt(var + eps) [C], and the new running statistics [C],
 * updated as PyTorch does: running · momentum + batch · (1 - momentum), the variance there unbiased.
 */
export const BatchNormalizationTraining: OpDefinition = {
  type: "BatchNormalizationTraining",
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: (context) => {
    const {
      node,
      inputs: [x, scale],
    } = context;
    if (x === undefined || scale === undefined) throw shapeError(node, "the type of an input is unknown");
    checkPerChannel(context, 1, x.shape?.[1]);
    return [x, x, scale, scale, scale];
  },
  gradient: ({ builder: b, node, outputGradients: [dy], needs }) => {
    const [, scale] = node.inputs;
    const [, centered, inverseStd] = node.outputs;
    if (dy === undefined || scale === undefined || centered === undefined || inverseStd === undefined)
      return [];
    return emitComposite(
      b,
      "BatchNormalizationGradient",
      [dy, centered, scale, inverseStd],
      [needs[0] === true, needs[1] === true, needs[2] === true],
    ).map((name) => (name === "" ? undefined : name));
  },
  expand: (b, node) => {
    const [x, scale, bias] = compositeInputs(node, 5);
    const rank = b.dims(x).length;
    const mean = reduceMean(b, x, allButChannels(rank), true);
    const centered = sub(b, x, mean);
    const variance = mul(b, channelDot(b, centered, centered), b.scalar(1 / elementsPerChannel(b.dims(x))));
    const inverseStd = inverseStandardDeviation(b, variance, epsilonOf(node));
    const gain = perChannel(b, mul(b, inverseStd, scale), rank);
    const y = add(b, mul(b, centered, gain), perChannel(b, bias, rank));
    return [
      y,
      centered,
      inverseStd,
      ...runningStatistics(b, node, b.dims(x), reshape(b, mean, [-1]), variance),
    ];
  },
};

/** The new running mean and variance [C] of a BatchNormalizationTraining node over x of the given dimensions. */
export function runningStatistics(
  b: Emitter,
  node: Node,
  dims: readonly number[],
  mean: string,
  variance: string,
): readonly [mean: string, variance: string] {
  const [, , , runningMean, runningVariance] = compositeInputs(node, 5);
  const count = elementsPerChannel(dims);
  const momentum = floatAttributeOr(node, "momentum", 0.9);
  const unbiased = (1 - momentum) * (count / Math.max(1, count - 1));
  return [
    blend(b, runningMean, momentum, mean, 1 - momentum),
    blend(b, runningVariance, momentum, variance, unbiased),
  ];
}

/** The node that stands for `node` (ONNX BatchNormalization, inference form) in training. */
export function batchNormalizationTraining(b: Emitter, node: Node): Node {
  const [y] = node.outputs;
  const inputs = node.inputs.slice(0, 5);
  if (y === undefined || inputs.length < 5 || inputs.includes(""))
    throw new PenniError("bad-model", "an input or output is missing", { node: node.name, op: node.op });
  return {
    ...node,
    op: BatchNormalizationTraining.type,
    domain: PENNI_DOMAIN,
    outputs: [
      y,
      ...["centered", "inverse_std", "mean", "variance"].map((stem) => b.freshName(`${y}/${stem}`)),
    ],
    attributes: new Map([
      ["epsilon", float(epsilonOf(node))],
      ["momentum", float(floatAttributeOr(node, "momentum", 0.9))],
    ]),
  };
}

function blend(b: Emitter, old: string, keep: number, batch: string, take: number): string {
  return add(b, mul(b, old, b.scalar(keep)), mul(b, batch, b.scalar(take)));
}
