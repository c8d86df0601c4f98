import { comparisonOp } from "../families/elementwise.js";

/** y = [a ≥ b], a bool, with broadcasting (ONNX GreaterOrEqual, opset 12 and later). */
export const GreaterOrEqual = comparisonOp("GreaterOrEqual", (left, right) => left >= right, true);
