import { floatAttributeOr } from "../../graph/attributes.js";
import { activation } from "../channels/lanewise.js";
import { unaryOp } from "../families/elementwise.js";

/** y = x - bias above λ, x + bias below -λ, else 0 (ONNX Shrink, opset 9 and later). dx = dy where |x| > λ. */
export const Shrink = unaryOp("Shrink", {
  channels: activation((x, { node }) => {
    const lambda = floatAttributeOr(node, "lambd", 0.5);
    const bias = floatAttributeOr(node, "bias", 0);
    if (x < -lambda) return x + bias;
    return x > lambda ? x - bias : 0;
  }),
  gradient: ({ b, node, x, dy }) => {
    const isKept = b.emit("Greater", [b.emit("Abs", [x]), b.scalar(floatAttributeOr(node, "lambd", 0.5))]);
    return b.emit("Where", [isKept, dy, b.scalar(0)]);
  },
});
