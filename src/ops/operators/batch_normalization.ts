import { intAttribute } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import type { Graph, ValueType } from "../../graph/types.js";
import { batchNormalizationChannels } from "../channels/normalization.js";
import { checkPerChannel, checkRequiredInputs, requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { mul, sub } from "../core/emit.js";
import { channelSum, epsilonOf, inverseStandardDeviation, perChannel } from "../families/normalization.js";

/**
 * Batch normalization (ONNX BatchNormalization, opset 7 and later) over x [N, C, ...] with per-channel scale,
 * bias, mean and variance. The gradient is that of the inference form, where mean and variance are constants;
 * training on batch statistics is `batch_normalization_training.ts`.
 */
export const BatchNormalization: OpDefinition = {
  type: "BatchNormalization",
  cost: noProducts,
  onBlocks: true,
  constants: { trained: [1, 2], settings: [3, 4] },
  shape: batchNormalizationShape,
  channels: batchNormalizationChannels,
  // y = (x - mean) · r · scale + bias with r = 1 / sqrt(var + eps):
  // dx = dy · scale · r, dscale = Σ dy · (x - mean) · r, dbias = Σ dy.
  gradient: ({ builder: b, node, outputGradients: [dy], needs, dims }) => {
    if (intAttribute(node, "training_mode") === 1) {
      throw new PenniError("unsupported", "BatchNormalization in training mode has no gradient", {
        node: node.name,
        op: node.op,
        expected: "training_mode absent or 0",
        advice: "Export the model in inference mode",
      });
    }
    const [x, scale, , mean, variance] = node.inputs;
    if (
      dy === undefined ||
      x === undefined ||
      scale === undefined ||
      mean === undefined ||
      variance === undefined
    ) {
      return [];
    }
    const rank = dims(x).length;
    const spread = (name: string): string => perChannel(b, name, rank);
    const inverseStd = spread(inverseStandardDeviation(b, variance, epsilonOf(node)));
    const normalized = (): string => mul(b, sub(b, x, spread(mean)), inverseStd);
    return [
      needs[0] === true ? mul(b, dy, mul(b, spread(scale), inverseStd)) : undefined,
      needs[1] === true ? channelSum(b, mul(b, dy, normalized())) : undefined,
      needs[2] === true ? channelSum(b, dy) : undefined,
    ];
  },
};

function batchNormalizationShape(context: NodeContext): readonly ValueType[] {
  checkRequiredInputs(context, 5);
  const x = requiredInput(context, 0);
  const mean = requiredInput(context, 3);
  const variance = requiredInput(context, 4);
  // Up to opset 8 a normalization per element had parameters of other shapes (`spatial` = 0).
  if (intAttribute(context.node, "spatial") !== 0) checkPerChannel(context, 1, x.shape?.[1]);
  // Training mode: the new running statistics, and up to opset 13 those of the batch.
  return [x, mean, variance, mean, variance];
}

/** Names of the running means and variances of a network. */
export function runningStatisticsOf(network: Graph): readonly string[] {
  return network.nodes
    .filter((node) => node.op === "BatchNormalization")
    .flatMap((node) => node.inputs.slice(3, 5));
}
