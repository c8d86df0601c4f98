import { mul } from "../core/emit.js";
import { reduceOp } from "../families/reduce.js";

/** y = Σ |x| over axes (ONNX ReduceL1, opset 1 and later). dx = dy·sign(x). */
export const ReduceL1 = reduceOp("ReduceL1", {
  gradient: ({ b, x, dy }) => mul(b, dy, b.emit("Sign", [x])),
  facts: { roundsIntegers: true },
});
