import { logicalOp } from "../families/elementwise.js";

/** Both of two bools, with broadcasting (ONNX And, opset 7 and later). */
export const And = logicalOp("And", (left, right) => left !== 0 && right !== 0);
