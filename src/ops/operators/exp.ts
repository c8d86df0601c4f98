import { activation } from "../channels/lanewise.js";
import { mul } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = eˣ (ONNX Exp, opset 6 and later). dx = dy·y. */
export const Exp = unaryOp("Exp", {
  facts: { neverNegative: true },
  channels: activation(Math.exp),
  gradient: ({ b, y, dy }) => mul(b, dy, y),
});
