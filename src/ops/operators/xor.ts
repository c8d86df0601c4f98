import { comparisonOp } from "../families/elementwise.js";

/** Exactly one of two bools, with broadcasting (ONNX Xor, opset 7 and later). */
export const Xor = comparisonOp("Xor", (left, right) => left !== right, false);
