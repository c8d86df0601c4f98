import { allOperands, broadcasting } from "../channels/elementwise.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { mul } from "../core/emit.js";
import { broadcastType } from "../families/elementwise.js";

/** Mean of any number of broadcast inputs (ONNX Mean, opset 8 and later). y = Σᵢ xᵢ / n: dxᵢ = dy / n. */
export const Mean: OpDefinition = {
  type: "Mean",
  cost: noProducts,
  shape: (context) => [broadcastType(context)],
  channels: broadcasting(
    allOperands((...terms) => terms.reduce((sum, term) => sum + term, 0) / terms.length),
  ),
  gradient: ({ builder: b, node, outputGradients: [dy] }) => {
    if (dy === undefined) return [];
    const share = mul(b, dy, b.scalar(1 / node.inputs.length));
    return node.inputs.map(() => share);
  },
  expand: (b, { inputs }) => [mul(b, b.emit("Sum", inputs), b.scalar(1 / inputs.length))],
};
