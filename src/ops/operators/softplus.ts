import { activation } from "../channels/lanewise.js";
import { mul } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = ln(1 + eˣ) (ONNX Softplus, opset 1 and later). dx = dy·sigmoid(x). */
export const Softplus = unaryOp("Softplus", {
  facts: { neverNegative: true },
  channels: activation((x) => Math.log1p(Math.exp(x))),
  gradient: ({ b, x, dy }) => mul(b, dy, b.emit("Sigmoid", [x])),
});
