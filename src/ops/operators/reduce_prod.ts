import { productOfDims } from "../core/dims.js";
import { div, mul } from "../core/emit.js";
import { reduceOp } from "../families/reduce.js";

/** y = Π x over axes (ONNX ReduceProd, opset 1 and later). dx = dy·y / x, which has no value where x is 0. */
export const ReduceProd = reduceOp("ReduceProd", {
  gradient: ({ b, x, y, dy }) => div(b, mul(b, dy, y), x),
  apply: productOfDims,
  facts: { roundsIntegers: true },
});
