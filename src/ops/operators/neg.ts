import { activation } from "../channels/lanewise.js";
import { neg } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = -x (ONNX Neg, opset 6 and later). dx = -dy. */
export const Neg = unaryOp("Neg", {
  facts: { onBlocks: true },
  apply: (x) => -x,
  channels: activation((x) => -x),
  gradient: ({ b, dy }) => neg(b, dy),
});
