import { unaryOp } from "./elementwise.js";
import { mul } from "./emit.js";

/** y = ln(1 + eˣ) (ONNX Softplus, opset 1 and later). dx = dy·sigmoid(x). */
export const Softplus = unaryOp("Softplus", {
  gradient: ({ b, x, dy }) => mul(b, dy, b.emit("Sigmoid", [x])),
});
