import { mul } from "../core/emit.js";
import { reduceOp } from "../families/reduce.js";

/** y = Σ x² over axes (ONNX ReduceSumSquare, opset 1 and later). dx = 2·x·dy. */
export const ReduceSumSquare = reduceOp("ReduceSumSquare", {
  gradient: ({ b, x, dy }) => mul(b, x, mul(b, dy, b.scalar(2))),
  facts: { roundsIntegers: true },
});
