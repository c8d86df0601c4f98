import { floatAttributeOr } from "../../graph/attributes.js";
import { activation } from "../channels/lanewise.js";
import { add, mul } from "../core/emit.js";
import { unaryOp, whereNegative } from "../families/elementwise.js";

/** y = x for x ≥ 0, α·(e^(x/α) - 1) below (ONNX Celu, opset 12 and later). dx = dy, below 0 dy·(y/α + 1). */
export const Celu = unaryOp("Celu", {
  channels: activation((x, { node }) => {
    const alpha = floatAttributeOr(node, "alpha", 1);
    return x < 0 ? alpha * Math.expm1(x / alpha) : x;
  }),
  gradient: ({ b, node, x, y, dy }) => {
    const slope = add(b, mul(b, y, b.scalar(1 / floatAttributeOr(node, "alpha", 1))), b.scalar(1));
    return whereNegative(b, x, mul(b, dy, slope), dy);
  },
});
