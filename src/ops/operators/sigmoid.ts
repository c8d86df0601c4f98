import { activation } from "../channels/lanewise.js";
import { mul, sub } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = 1 / (1 + e⁻ˣ) (ONNX Sigmoid, opset 6 and later). dx = dy·y·(1 - y). */
export const Sigmoid = unaryOp("Sigmoid", {
  facts: { onBlocks: true, neverNegative: true },
  channels: activation((x) => 1 / (1 + Math.exp(-x))),
  gradient: ({ b, y, dy }) => mul(b, dy, mul(b, y, sub(b, b.scalar(1), y))),
});
