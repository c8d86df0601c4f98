import { activation } from "../channels/lanewise.js";
import { div, mul, neg, sub } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = arccos x (ONNX Acos, opset 7 and later). dx = -dy / √(1 - x²). */
export const Acos = unaryOp("Acos", {
  channels: activation(Math.acos),
  gradient: ({ b, x, dy }) => div(b, neg(b, dy), b.emit("Sqrt", [sub(b, b.scalar(1), mul(b, x, x))])),
});
