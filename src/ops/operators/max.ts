import { extremumOp } from "../families/elementwise.js";

/** Element-wise maximum of any number of broadcast inputs (ONNX Max, opset 8 and later). */
export const Max = extremumOp("Max", Math.max);
