import { expand, ofNumbers, reduceOp } from "../families/reduce.js";

/** y = Σ x over axes (ONNX ReduceSum, opset 1 and later). dx = dy. */
export const ReduceSum = reduceOp("ReduceSum", {
  gradient: ({ b, dy, dims }) => expand(b, dy, dims),
  apply: ofNumbers((numbers) => numbers.reduce((sum, number) => sum + number, 0)),
  facts: { onBlocks: true, roundsIntegers: true },
});
