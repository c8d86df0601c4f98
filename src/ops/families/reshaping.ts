import type { ChannelRule } from "../core/channels.js";
import type { GradientRule, OpDefinition, ShapeRule } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { reshape } from "../core/emit.js";
import { reshapedValue } from "../core/rearrange.js";

// The elements stay where they are in memory: dx = Reshape(dy, shape of x).
const reshapeBack: GradientRule = (context) => {
  const [dy] = context.outputGradients;
  const [x] = context.node.inputs;
  return [dy === undefined || x === undefined ? undefined : reshape(context.builder, dy, context.dims(x))];
};

/** An operator that only changes the dimensions of its first input: Reshape, Flatten, Squeeze, Unsqueeze. */
export function reshapingOp(type: string, shape: ShapeRule, channels: ChannelRule): OpDefinition {
  return {
    type,
    shape,
    channels,
    value: (context) => [reshapedValue(context.values[0], shape(context)[0]?.shape)],
    gradient: reshapeBack,
    cost: noProducts,
    elements: "reshaped",
  };
}
