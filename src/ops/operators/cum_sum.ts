import { int, intAttributeOr } from "../../graph/attributes.js";
import { alongAxesChannels } from "../channels/normalization.js";
import { normalizeAxis } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";

/** Running sums along a constant or computed axis (ONNX CumSum, opset 11 and later). dx: the same the other way round. */
export const CumSum: OpDefinition = {
  type: "CumSum",
  scalars: [1],
  cost: noProducts,
  shape: sameTypeAsFirstInput,
  channels: (context) => {
    const axis = context.values[1]?.elements[0];
    if (typeof axis !== "number") return wall("its axis is not constant");
    return alongAxesChannels(({ node }, rank) => [normalizeAxis(node, axis, rank)])(context);
  },
  gradient: ({ builder: b, node, outputGradients: [dy] }) => {
    const [, axis] = node.inputs;
    if (dy === undefined || axis === undefined) return [];
    const attributes = {
      exclusive: int(intAttributeOr(node, "exclusive", 0)),
      reverse: int(1 - intAttributeOr(node, "reverse", 0)),
    };
    return [b.emit("CumSum", [dy, axis], { attributes })];
  },
};
