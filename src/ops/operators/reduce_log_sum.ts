import { div } from "../core/emit.js";
import { expand, reduceOp } from "../families/reduce.js";

/** y = ln Σ x over axes (ONNX ReduceLogSum, opset 1 and later). dx = dy / eʸ. */
export const ReduceLogSum = reduceOp("ReduceLogSum", {
  gradient: ({ b, y, dy, dims }) => expand(b, div(b, dy, b.emit("Exp", [y])), dims),
  facts: { roundsIntegers: true },
});
