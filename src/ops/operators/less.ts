import { comparisonOp } from "../families/elementwise.js";

/** y = [a < b], a bool, with broadcasting (ONNX Less, opset 9 and later). */
export const Less = comparisonOp("Less", (left, right) => left < right, false);
