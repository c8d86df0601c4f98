import { activation } from "../channels/lanewise.js";
import { mul, sub } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = x / (1 + |x|) (ONNX Softsign, opset 1 and later). dx = dy·(1 - |y|)². */
export const Softsign = unaryOp("Softsign", {
  channels: activation((x) => x / (1 + Math.abs(x))),
  gradient: ({ b, y, dy }) => {
    const slope = sub(b, b.scalar(1), b.emit("Abs", [y]));
    return mul(b, dy, mul(b, slope, slope));
  },
});
