import { compositeInputs, floatType } from "../core/composite.js";
import { type OpDefinition, staticShape } from "../core/definition.js";
import { channelSum } from "../families/normalization.js";

/** Sum over batch and space, a composite: x [N, C, ...] -> [C]. The gradient of a convolution's bias. */
export const ChannelSum: OpDefinition = {
  type: "ChannelSum",
  shape: ({ node, inputs: [x] }) => [floatType([staticShape(node, x)[1] ?? 1])],
  expand: (b, node) => [channelSum(b, compositeInputs(node, 1)[0] ?? "")],
};
