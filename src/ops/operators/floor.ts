import { roundingOp } from "../families/rounding.js";

/** The largest whole number up to x (ONNX Floor, opset 6 and later). */
export const Floor = roundingOp("Floor", Math.floor);
