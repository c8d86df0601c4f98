import { activation } from "../channels/lanewise.js";
import { mul, neg } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = 1 / x (ONNX Reciprocal, opset 6 and later). dx = -dy·y². */
export const Reciprocal = unaryOp("Reciprocal", {
  apply: (x) => 1 / x,
  channels: activation((x) => 1 / x),
  gradient: ({ b, y, dy }) => neg(b, mul(b, dy, mul(b, y, y))),
});
