import { activation } from "../channels/lanewise.js";
import { add, div, mul } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = arctan x (ONNX Atan, opset 7 and later). dx = dy / (1 + x²). */
export const Atan = unaryOp("Atan", {
  channels: activation(Math.atan),
  gradient: ({ b, x, dy }) => div(b, dy, add(b, mul(b, x, x), b.scalar(1))),
});
