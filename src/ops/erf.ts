import { laneWise } from "./channels/lanewise.js";
import { unaryOp } from "./elementwise.js";
import { mul, neg } from "./emit.js";

/** y = erf x (ONNX Erf, opset 9 and later). dx = dy·2/√π·exp(-x²). */
export const Erf = unaryOp("Erf", {
  channels: laneWise({}),
  gradient: ({ b, x, dy }) => {
    const bell = b.emit("Exp", [neg(b, mul(b, x, x))]);
    return mul(b, dy, mul(b, bell, b.scalar(2 / Math.sqrt(Math.PI))));
  },
});
