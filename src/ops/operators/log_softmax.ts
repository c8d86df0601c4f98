import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { mul, reduceSum, sub } from "../core/emit.js";
import { softmaxChannels, softmaxGradient } from "../families/softmax_axes.js";

/** y = x - ln Σ eˣ (ONNX LogSoftmax, opset 1 and later). dx = dy - eʸ·Σ dy. */
export const LogSoftmax: OpDefinition = {
  type: "LogSoftmax",
  cost: noProducts,
  channels: softmaxChannels,
  shape: sameTypeAsFirstInput,
  gradient: softmaxGradient(({ b, y, dy, axes }) =>
    sub(b, dy, mul(b, b.emit("Exp", [y]), reduceSum(b, dy, axes, true))),
  ),
};
