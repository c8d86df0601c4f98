import { logicalOp } from "../families/elementwise.js";

/** At least one of two bools, with broadcasting (ONNX Or, opset 7 and later). */
export const Or = logicalOp("Or", (left, right) => left !== 0 || right !== 0);
