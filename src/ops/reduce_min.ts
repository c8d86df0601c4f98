import { extremumGradient, reduceOp } from "./reduce.js";

/** y = min x over axes (ONNX ReduceMin, opset 1 and later). */
export const ReduceMin = reduceOp("ReduceMin", extremumGradient);
