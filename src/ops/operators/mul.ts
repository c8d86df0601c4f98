import { productOfLanes } from "../channels/elementwise.js";
import { mul } from "../core/emit.js";
import { binaryOp } from "../families/elementwise.js";

/** Element-wise product with broadcasting (ONNX Mul, opset 7 and later). y = a·b: da = dy·b, db = dy·a. */
export const Mul = binaryOp("Mul", {
  facts: { onBlocks: true },
  apply: (left, right) => left * right,
  leftIdentity: 1,
  rightIdentity: 1,
  lanes: productOfLanes,
  leftGradient: ({ b, dy, right }) => mul(b, dy, right),
  rightGradient: ({ b, dy, left }) => mul(b, dy, left),
});
