import { activation } from "./channels/lanewise.js";
import { unaryOp } from "./elementwise.js";
import { mul } from "./emit.js";

/** y = eˣ (ONNX Exp, opset 6 and later). dx = dy·y. */
export const Exp = unaryOp("Exp", {
  channels: activation(Math.exp),
  gradient: ({ b, y, dy }) => mul(b, dy, y),
});
