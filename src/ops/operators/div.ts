import { div, mul, neg } from "../core/emit.js";
import { binaryOp } from "../families/elementwise.js";

/**
 * Element-wise quotient with broadcasting (ONNX Div, opset 7 and later; integers truncate towards zero).
 * y = a / b: da = dy / b, db = -dy·y / b.
 */
export const Div = binaryOp("Div", {
  facts: { onBlocks: true, roundsIntegers: true },
  apply: (left, right) => left / right,
  rightIdentity: 1,
  leftGradient: ({ b, dy, right }) => div(b, dy, right),
  rightGradient: ({ b, dy, right, y }) => neg(b, div(b, mul(b, dy, y), right)),
});
