import { orDefault } from "../../graph/at.js";
import { intAttributeOr } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { alongAxesChannels } from "../channels/normalization.js";
import { checkRequiredInputs, normalizeAxis, requiredInput } from "../core/arguments.js";
import { checkBroadcastsTo } from "../core/broadcast.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { mul } from "../core/emit.js";
import { epsilonOf } from "../families/normalization.js";
import { axesFrom } from "../families/reduce.js";
import { standardize, standardizeGradient } from "../families/standardize.js";

/**
 * Normalization over the axes from `axis` on (ONNX LayerNormalization, opset 17): Y = x̂ · scale + bias, Mean,
 * InvStdDev. The gradient exists for Y.
 */
export const LayerNormalization: OpDefinition = {
  type: "LayerNormalization",
  cost: noProducts,
  constants: { trained: [1, 2], settings: [] },
  optionalOutputs: 1,
  // Scale and bias that reach further than the normalised axes have entries per channel, too.
  channels: alongAxesChannels(({ node, inputs }, rank) => {
    const first = normalizeAxis(node, intAttributeOr(node, "axis", -1), rank);
    const reach = Math.max(...inputs.slice(1).map((type) => orDefault(type?.shape?.length, 0)));
    return axesFrom(Math.min(first, rank - reach), rank);
  }),
  shape: (context) => {
    const { node } = context;
    checkRequiredInputs(context, 2);
    const x = requiredInput(context, 0);
    const { elementType, shape } = x;
    const unknown = { elementType, shape: undefined };
    if (shape === undefined) return [x, unknown, unknown];
    checkBroadcastsTo(context, 1, shape);
    checkBroadcastsTo(context, 2, shape);
    const axis = normalizeAxis(node, intAttributeOr(node, "axis", -1), shape.length);
    const statistics = { elementType, shape: shape.map((dim, at) => (at < axis ? dim : 1)) };
    return [x, statistics, statistics];
  },
  gradient: layerNormalizationGradient,
};

function layerNormalizationGradient(context: GradientContext): readonly (string | undefined)[] {
  const { builder: b, node, needs } = context;
  const [dy, ...ofStatistics] = context.outputGradients;
  const [x, scale] = node.inputs;
  if (ofStatistics.some((gradient) => gradient !== undefined)) {
    throw new PenniError(
      "unsupported",
      "the gradient through the statistics of a normalization is not known",
      {
        node: node.name,
        op: node.op,
        expected: "only its first output on the way to the loss",
      },
    );
  }
  if (dy === undefined || x === undefined || scale === undefined) return [];
  const rank = context.dims(x).length;
  const axis = normalizeAxis(node, intAttributeOr(node, "axis", -1), rank);
  const standardized = standardize(b, x, axesFrom(axis, rank), epsilonOf(node));
  return [
    needs[0] === true ? standardizeGradient(b, mul(b, dy, scale), standardized) : undefined,
    needs[1] === true ? mul(b, dy, standardized.values) : undefined,
    dy,
  ];
}
