import { activation } from "../channels/lanewise.js";
import { add, mul, sub } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/**
 * y = x·t with t = tanh(ln(1 + eˣ)) (ONNX Mish, opset 18 and later).
 * dx = dy·(t + x·(1 - t²)·sigmoid(x)).
 */
export const Mish = unaryOp("Mish", {
  channels: activation((x) => x * Math.tanh(Math.log1p(Math.exp(x)))),
  gradient: ({ b, x, dy }) => {
    const t = b.emit("Tanh", [b.emit("Softplus", [x])]);
    const slope = mul(b, sub(b, b.scalar(1), mul(b, t, t)), b.emit("Sigmoid", [x]));
    return mul(b, dy, add(b, t, mul(b, x, slope)));
  },
});
