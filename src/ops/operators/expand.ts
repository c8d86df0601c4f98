import { elementCount } from "../../graph/tensor.js";
import type { Shape } from "../../graph/types.js";
import { expandChannels } from "../channels/resizing.js";
import { intsArgument, partlyKnown, requiredInput } from "../core/arguments.js";
import { broadcastShapes } from "../core/broadcast.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { isStatic, stridesOf } from "../core/dims.js";
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
    const added = shape.length - x.dims.length;
    const own = stridesOf(x.dims);
    const strides = shape.map((_, axis) => (x.dims[axis - added] === 1 ? 0 : (own[axis - added] ?? 0)));
    return [stridedValue(x, shape, strides)];
  },
  gradient: ({ outputGradients: [dy] }) => [dy],
};

function expandedShape(context: NodeContext): Shape | undefined {
  const wanted = partlyKnown(intsArgument(context, 1, "shape"));
  return broadcastShapes(context.node, context.inputs[0]?.shape, wanted);
}
