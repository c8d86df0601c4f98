import { activation } from "../channels/lanewise.js";
import { div, mul, sub } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = arcsin x (ONNX Asin, opset 7 and later). dx = dy / √(1 - x²). */
export const Asin = unaryOp("Asin", {
  channels: activation(Math.asin),
  gradient: ({ b, x, dy }) => div(b, dy, b.emit("Sqrt", [sub(b, b.scalar(1), mul(b, x, x))])),
});
