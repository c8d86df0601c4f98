import { activation } from "../channels/lanewise.js";
import { mul, sub } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = tanh x (ONNX Tanh, opset 6 and later). dx = dy·(1 - y²). */
export const Tanh = unaryOp("Tanh", {
  facts: { onBlocks: true },
  channels: activation(Math.tanh),
  gradient: ({ b, y, dy }) => mul(b, dy, sub(b, b.scalar(1), mul(b, y, y))),
});
