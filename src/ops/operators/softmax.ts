import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { mul, reduceSum, sub } from "../core/emit.js";
import { softmaxChannels, softmaxGradient } from "../families/softmax_axes.js";

/** y = eˣ / Σ eˣ (ONNX Softmax, opset 1 and later). dx = y·(dy - Σ dy·y). */
export const Softmax: OpDefinition = {
  type: "Softmax",
  cost: noProducts,
  neverNegative: true,
  channels: softmaxChannels,
  shape: sameTypeAsFirstInput,
  gradient: softmaxGradient(({ b, y, dy, axes }) =>
    mul(b, y, sub(b, dy, reduceSum(b, mul(b, dy, y), axes, true))),
  ),
};
