import { activation } from "../channels/lanewise.js";
import { mul } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = |x| (ONNX Abs, opset 6 and later). dx = dy·sign(x). */
export const Abs = unaryOp("Abs", {
  facts: { onBlocks: true, neverNegative: true },
  apply: Math.abs,
  channels: activation(Math.abs),
  gradient: ({ b, x, dy }) => mul(b, dy, b.emit("Sign", [x])),
});
