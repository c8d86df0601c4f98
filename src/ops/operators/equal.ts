import { comparisonOp } from "../families/elementwise.js";

/** y = [a = b], a bool, with broadcasting (ONNX Equal, opset 7 and later). */
export const Equal = comparisonOp("Equal", (left, right) => left === right, true);
