import { extremumGradient, reduceOp } from "./reduce.js";

/** y = max x over axes (ONNX ReduceMax, opset 1 and later). */
export const ReduceMax = reduceOp("ReduceMax", extremumGradient);
