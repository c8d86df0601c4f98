import { binaryOp } from "../families/elementwise.js";

/** Element-wise sum with broadcasting (ONNX Add, opset 7 and later). y = a + b: da = dy, db = dy. */
export const Add = binaryOp("Add", {
  facts: { onBlocks: true },
  apply: (left, right) => left + right,
  leftIdentity: 0,
  rightIdentity: 0,
  leftGradient: ({ dy }) => dy,
  rightGradient: ({ dy }) => dy,
});
