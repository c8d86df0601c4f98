import { activation } from "./channels/lanewise.js";
import { unaryOp } from "./elementwise.js";
import { add, div, mul } from "./emit.js";

/** y = arctan x (ONNX Atan, opset 7 and later). dx = dy / (1 + x²). */
export const Atan = unaryOp("Atan", {
  channels: activation(Math.atan),
  gradient: ({ b, x, dy }) => div(b, dy, add(b, mul(b, x, x), b.scalar(1))),
});
