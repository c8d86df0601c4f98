import { activation } from "./channels/lanewise.js";
import { unaryOp } from "./elementwise.js";
import { div, mul } from "./emit.js";

/** y = √x (ONNX Sqrt, opset 6 and later). dx = dy / (2·y). */
export const Sqrt = unaryOp("Sqrt", {
  apply: Math.sqrt,
  channels: activation(Math.sqrt),
  gradient: ({ b, y, dy }) => div(b, mul(b, dy, b.scalar(0.5)), y),
});
