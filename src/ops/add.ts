import type { ValueType } from "../graph/types.js";
import { broadcastShapes } from "./broadcast.js";
import { type NodeContext, type OpDefinition, shapeError } from "./definition.js";

/** Element-wise sum with broadcasting (ONNX Add, opset 7 and later). y = a + b, da = dy, db = dy. */
export const Add: OpDefinition = {
  type: "Add",
  shape: (context) => [broadcastType(context)],
  gradient: ({ outputGradients: [dy] }) => [dy, dy],
};

function broadcastType({ node, inputs: [a, b] }: NodeContext): ValueType {
  const elementType = a?.elementType ?? b?.elementType;
  if (elementType === undefined) throw shapeError(node, "the types of both inputs are unknown");
  return { elementType, shape: broadcastShapes(node, a?.shape, b?.shape) };
}
