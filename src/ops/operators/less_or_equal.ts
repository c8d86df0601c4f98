import { comparisonOp } from "../families/elementwise.js";

/** y = [a ≤ b], a bool, with broadcasting (ONNX LessOrEqual, opset 12 and later). */
export const LessOrEqual = comparisonOp("LessOrEqual", (left, right) => left <= right, true);
