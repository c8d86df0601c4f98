import { neg } from "../core/emit.js";
import { binaryOp } from "../families/elementwise.js";

/** Element-wise difference with broadcasting (ONNX Sub, opset 7 and later). y = a - b: da = dy, db = -dy. */
export const Sub = binaryOp("Sub", {
  facts: { onBlocks: true },
  apply: (left, right) => left - right,
  rightIdentity: 0,
  leftGradient: ({ dy }) => dy,
  rightGradient: ({ b, dy }) => neg(b, dy),
});
