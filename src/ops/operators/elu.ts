import { floatAttributeOr } from "../../graph/attributes.js";
import { activation } from "../channels/lanewise.js";
import { add, mul } from "../core/emit.js";
import { unaryOp, whereNegative } from "../families/elementwise.js";

/** y = x for x ≥ 0, α·(eˣ - 1) below (ONNX Elu, opset 6 and later). dx = dy, below 0 dy·(y + α). */
export const Elu = unaryOp("Elu", {
  channels: activation((x, { node }) => (x < 0 ? floatAttributeOr(node, "alpha", 1) * Math.expm1(x) : x)),
  gradient: ({ b, node, x, y, dy }) => {
    const alpha = floatAttributeOr(node, "alpha", 1);
    return whereNegative(b, x, mul(b, dy, add(b, y, b.scalar(alpha))), dy);
  },
});
