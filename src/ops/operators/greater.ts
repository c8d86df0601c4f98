import { comparisonOp } from "../families/elementwise.js";

/** y = [a > b], a bool, with broadcasting (ONNX Greater, opset 9 and later). */
export const Greater = comparisonOp("Greater", (left, right) => left > right, false);
