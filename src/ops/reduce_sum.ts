import { expand, reduceOp } from "./reduce.js";

/** y = Σ x over axes (ONNX ReduceSum, opset 1 and later). dx = dy. */
export const ReduceSum = reduceOp("ReduceSum", ({ b, dy, dims }) => expand(b, dy, dims));
