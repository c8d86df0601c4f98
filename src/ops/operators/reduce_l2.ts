import { div, mul } from "../core/emit.js";
import { reduceOp } from "../families/reduce.js";

/** y = √Σ x² over axes (ONNX ReduceL2, opset 1 and later). dx = x·dy / y. */
export const ReduceL2 = reduceOp("ReduceL2", {
  gradient: ({ b, x, y, dy }) => mul(b, x, div(b, dy, y)),
  facts: { roundsIntegers: true },
});
