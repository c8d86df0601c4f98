import { instanceNormalizationChannels } from "../channels/normalization.js";
import { checkPerChannel, checkRequiredInputs, requiredInput } from "../core/arguments.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { mul } from "../core/emit.js";
import { channelSum, epsilonOf, perChannel } from "../families/normalization.js";
import { axesFrom } from "../families/reduce.js";
import { standardize, standardizeGradient } from "../families/standardize.js";

/**
 * Normalization over the pixels of each sample and channel (ONNX InstanceNormalization, opset 6 and later):
 * x [N, C, ...] -> x̂ · scale + bias, both [C].
 */
export const InstanceNormalization: OpDefinition = {
  type: "InstanceNormalization",
  cost: noProducts,
  constants: { trained: [1, 2], settings: [] },
  channels: instanceNormalizationChannels,
  shape: (context) => {
    checkRequiredInputs(context, 3);
    const x = requiredInput(context, 0);
    checkPerChannel(context, 1, x.shape?.[1]);
    return [x];
  },
  gradient: instanceNormalizationGradient,
};

function instanceNormalizationGradient(context: GradientContext): readonly (string | undefined)[] {
  const { builder: b, node, needs } = context;
  const [dy] = context.outputGradients;
  const [x, scale] = node.inputs;
  if (dy === undefined || x === undefined || scale === undefined) return [];
  const rank = context.dims(x).length;
  const standardized = standardize(b, x, axesFrom(2, rank), epsilonOf(node));
  return [
    needs[0] === true
      ? standardizeGradient(b, mul(b, dy, perChannel(b, scale, rank)), standardized)
      : undefined,
    needs[1] === true ? channelSum(b, mul(b, dy, standardized.values)) : undefined,
    needs[2] === true ? channelSum(b, dy) : undefined,
  ];
}
