import { activation } from "../channels/lanewise.js";
import { leakyReluGradient, slopeBelow } from "../composites/leaky_relu_gradient.js";
import { mul } from "../core/emit.js";
import { unaryOp, whereNegative } from "../families/elementwise.js";

/** y = x for x ≥ 0, α·x below (ONNX LeakyRelu, opset 6 and later). dx = dy for x > 0, α·dy elsewhere. */
export const LeakyRelu = unaryOp("LeakyRelu", {
  facts: { onBlocks: true },
  channels: activation((x, { node }) => (x < 0 ? x * slopeBelow(node) : x)),
  gradient: ({ b, node, x, y, dy }) => {
    const alpha = slopeBelow(node);
    return alpha > 0 && alpha <= 1
      ? leakyReluGradient(b, dy, y, alpha)
      : whereNegative(b, x, mul(b, dy, b.scalar(alpha)), dy);
  },
});
