import { allOperands, broadcasting } from "../channels/elementwise.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { broadcastType } from "../families/elementwise.js";

/** Sum of any number of broadcast inputs (ONNX Sum, opset 8 and later). y = Σᵢ xᵢ: dxᵢ = dy. */
export const Sum: OpDefinition = {
  type: "Sum",
  cost: noProducts,
  shape: (context) => [broadcastType(context)],
  channels: broadcasting(allOperands((...terms) => terms.reduce((a, b) => a + b, 0))),
  gradient: ({ node, outputGradients: [dy] }) => node.inputs.map(() => dy),
};
