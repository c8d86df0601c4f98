import { elementCount } from "../../graph/tensor.js";
import type { Shape } from "../../graph/types.js";
import { expandChannels } from "../channels/resizing.js";
import { intsArgument, partlyKnown, requiredInput } from "../core/arguments.js";
import { broadcastShapes, broadcastStrides } from "../core/broadcast.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { isStatic } from "../core/dims.js";
import { LARGEST_GENERATED, stridedValue } from "../core/rearrange.js";

/** Broadcasting to a shape (ONNX Expand, opset 8 and later). dx = dy summed over the broadcast axes, which the driver does. */
export const Expand: OpDefinition = {
  type: "Expand",
  cost: noProducts,
  onBlocks: true,
  elements: "moved",
  channels: expandChannels,
  shape: (context) => [{ elementType: requiredInput(context, 0).elementType, shape: expandedShape(context) }],
  value: (context) => {
    const [x] = context.values;
    const shape = expandedShape(context);
    if (x === undefined || !isStatic(shape) || elementCount(shape) > LARGEST_GENERATED) return [undefined];
    return [stridedValue(x, shape, broadcastStrides(x.dims, shape))];
  },
  gradient: ({ outputGradients: [dy] }) => [dy],
};

function expandedShape(context: NodeContext): Shape | undefined {
  const wanted = partlyKnown(intsArgument(context, 1, "shape"));
  return broadcastShapes(context.node, context.inputs[0]?.shape, wanted);
}
