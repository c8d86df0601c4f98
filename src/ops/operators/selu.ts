import { floatAttributeOr } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { activation } from "../channels/lanewise.js";
import { add, mul } from "../core/emit.js";
import { unaryOp, whereNegative } from "../families/elementwise.js";

/** y = γ·x for x > 0, γ·α·(eˣ - 1) below (ONNX Selu, opset 6 and later). dx = dy·γ, below 0 dy·(y + γ·α). */
export const Selu = unaryOp("Selu", {
  channels: activation((x, { node }) => {
    const { alpha, gamma } = parametersOf(node);
    return x > 0 ? gamma * x : gamma * alpha * Math.expm1(x);
  }),
  gradient: ({ b, node, x, y, dy }) => {
    const { alpha, gamma } = parametersOf(node);
    const below = mul(b, dy, add(b, y, b.scalar(gamma * alpha)));
    return whereNegative(b, x, below, mul(b, dy, b.scalar(gamma)));
  },
});

function parametersOf(node: Node): { readonly alpha: number; readonly gamma: number } {
  return {
    alpha: floatAttributeOr(node, "alpha", 1.6732631921768188),
    gamma: floatAttributeOr(node, "gamma", 1.0507010221481323),
  };
}
