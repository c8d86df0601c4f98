import { activation } from "../channels/lanewise.js";
import { div, mul } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = √x (ONNX Sqrt, opset 6 and later). dx = dy / (2·y). */
export const Sqrt = unaryOp("Sqrt", {
  facts: { neverNegative: true },
  apply: Math.sqrt,
  channels: activation(Math.sqrt),
  gradient: ({ b, y, dy }) => div(b, mul(b, dy, b.scalar(0.5)), y),
});
