import { floatAttribute } from "../graph/attributes.js";
import { activation } from "./channels/lanewise.js";
import { unaryOp, whereNegative } from "./elementwise.js";
import { mul } from "./emit.js";

/** y = x for x ≥ 0, α·x below (ONNX LeakyRelu, opset 6 and later). dx = dy for x ≥ 0, α·dy below. */
export const LeakyRelu = unaryOp("LeakyRelu", {
  channels: activation((x, { node }) => (x < 0 ? x * (floatAttribute(node, "alpha") ?? 0.01) : x)),
  gradient: ({ b, node, x, dy }) => {
    const alpha = floatAttribute(node, "alpha") ?? 0.01;
    return whereNegative(b, x, mul(b, dy, b.scalar(alpha)), dy);
  },
});
