import { mul, sub } from "../core/emit.js";
import { reduceOp } from "../families/reduce.js";

/** y = ln Σ eˣ over axes (ONNX ReduceLogSumExp, opset 1 and later). dx = dy·e^(x - y). */
export const ReduceLogSumExp = reduceOp("ReduceLogSumExp", {
  gradient: ({ b, x, y, dy }) => mul(b, dy, b.emit("Exp", [sub(b, x, y)])),
  facts: { roundsIntegers: true },
});
