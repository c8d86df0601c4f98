import { at } from "../../graph/at.js";
import { compositeInputs, floatType } from "../core/composite.js";
import { type OpDefinition, onlyInTraining, staticShape } from "../core/definition.js";
import { channelSum } from "../families/normalization.js";

/** Sum over batch and space, a composite: x [N, C, ...] -> [C]. The gradient of a convolution's bias. */
export const ChannelSum: OpDefinition = {
  type: "ChannelSum",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: ({ node, inputs: [x] }) => [floatType([at(staticShape(node, x), 1)])],
  expand: (b, node) => [channelSum(b, ...compositeInputs(node, 1))],
};
