import { roundingOp } from "../families/rounding.js";

/** The smallest whole number from x on (ONNX Ceil, opset 6 and later). */
export const Ceil = roundingOp("Ceil", Math.ceil);
