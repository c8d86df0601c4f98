import { reductionChannels } from "../channels/pooling.js";
import { expand, ofNumbers, reduceOp } from "../families/reduce.js";

/** y = Σ x over axes (ONNX ReduceSum, opset 1 and later). dx = dy. */
export const ReduceSum = reduceOp(
  "ReduceSum",
  ({ b, dy, dims }) => expand(b, dy, dims),
  reductionChannels(),
  ofNumbers((numbers) => numbers.reduce((sum, number) => sum + number, 0)),
);
