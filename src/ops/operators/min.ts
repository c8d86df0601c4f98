import { extremumOp } from "../families/elementwise.js";

/** Element-wise minimum of any number of broadcast inputs (ONNX Min, opset 8 and later). */
export const Min = extremumOp("Min", Math.min);
