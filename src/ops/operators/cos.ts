import { activation } from "../channels/lanewise.js";
import { mul, neg } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = cos x (ONNX Cos, opset 7 and later). dx = -dy·sin x. */
export const Cos = unaryOp("Cos", {
  channels: activation(Math.cos),
  gradient: ({ b, x, dy }) => mul(b, dy, neg(b, b.emit("Sin", [x]))),
});
