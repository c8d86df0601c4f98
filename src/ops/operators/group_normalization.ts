import { intAttribute } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import type { Node, ValueType } from "../../graph/types.js";
import { checkRank, requiredInput } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import type { NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { mul, reduceSum, reshape } from "../core/emit.js";
import { channelSum, epsilonOf, perChannel } from "../families/normalization.js";
import { expand } from "../families/reduce.js";
import { standardize, standardizeGradient } from "../families/standardize.js";

/**
 * Normalization over groups of channels of each sample (ONNX GroupNormalization): x [N, C, ...] -> x̂ · scale + bias with
 * one element per group (opset 18 to 20) or per channel (opset 21 and later).
 */
export const GroupNormalization: OpDefinition = {
  type: "GroupNormalization",
  cost: noProducts,
  constants: { trained: [1, 2], settings: [] },
  channels: () => wall("it normalises over groups of channels"),
  shape: groupNormalizationShape,
  gradient: groupNormalizationGradient,
};

function groupNormalizationShape(context: NodeContext): readonly ValueType[] {
  checkRank(context, 0, 2, Infinity);
  const x = requiredInput(context, 0);
  const [scale, bias] = [requiredInput(context, 1).shape, requiredInput(context, 2).shape];
  if (scale === undefined || bias === undefined) return [x];
  const [size] = scale;
  const fits = size === bias[0] || typeof size !== "number" || typeof bias[0] !== "number";
  if (scale.length === 1 && bias.length === 1 && fits) return [x];
  throw shapeError(
    context.node,
    "scale and bias are not vectors of the same length",
    "one number per group or channel each",
    `${describeShape(scale)} and ${describeShape(bias)}`,
  );
}

function groupNormalizationGradient(context: GradientContext): readonly (string | undefined)[] {
  const { builder: b, node, needs } = context;
  const [dy] = context.outputGradients;
  const [x, scale] = node.inputs;
  if (dy === undefined || x === undefined || scale === undefined) return [];
  const dims = context.dims(x);
  const [batch, channels] = firstOf(dims, 2);
  const groups = groupsOf(node, channels);
  const [scales] = firstOf(context.dims(scale), 1);
  if (channels % scales !== 0) {
    throw shapeError(node, "the scale does not fit the channels", `${channels} or ${groups}`, `${scales}`);
  }
  const runs = [scales, channels / scales];
  const repeated = reshape(b, expand(b, reshape(b, scale, [scales, 1]), runs), [channels]);
  const collected = (ofChannels: string): string => reduceSum(b, reshape(b, ofChannels, runs), [1], false);

  const grouped = [batch, groups, -1];
  const standardized = standardize(b, reshape(b, x, grouped), [2], epsilonOf(node));
  const scaled = reshape(b, mul(b, dy, perChannel(b, repeated, dims.length)), grouped);
  const values = reshape(b, standardized.values, dims);
  return [
    needs[0] === true ? reshape(b, standardizeGradient(b, scaled, standardized), dims) : undefined,
    needs[1] === true ? collected(channelSum(b, mul(b, dy, values))) : undefined,
    needs[2] === true ? collected(channelSum(b, dy)) : undefined,
  ];
}

function groupsOf(node: Node, channels: number): number {
  const groups = intAttribute(node, "num_groups");
  if (groups !== undefined && groups >= 1 && channels % groups === 0) return groups;
  throw shapeError(
    node,
    "the groups do not fit the channels",
    `a number that divides ${channels}`,
    `${groups ?? "none"}`,
  );
}
