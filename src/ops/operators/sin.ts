import { activation } from "../channels/lanewise.js";
import { mul } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = sin x (ONNX Sin, opset 7 and later). dx = dy·cos x. */
export const Sin = unaryOp("Sin", {
  channels: activation(Math.sin),
  gradient: ({ b, x, dy }) => mul(b, dy, b.emit("Cos", [x])),
});
