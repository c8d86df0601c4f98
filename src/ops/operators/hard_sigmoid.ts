import { floatAttributeOr } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { activation } from "../channels/lanewise.js";
import { type Bounds, clipGradient } from "../composites/clip_gradient.js";
import { mul } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** Between them a hard sigmoid has a slope. */
export const HARD_SIGMOID_BOUNDS: Bounds = { low: 0, high: 1 };

/** y = max(0, min(1, α·x + β)) (ONNX HardSigmoid, opset 6 and later). dx = dy·α·[0 < y < 1]. */
export const HardSigmoid = unaryOp("HardSigmoid", {
  facts: { onBlocks: true, neverNegative: true },
  channels: activation((x, { node }) => hardSigmoidOf(node, x)),
  gradient: ({ b, node, y, dy }) => {
    const alpha = floatAttributeOr(node, "alpha", 0.2);
    return clipGradient(b, mul(b, dy, b.scalar(alpha)), y, HARD_SIGMOID_BOUNDS);
  },
});

function hardSigmoidOf(node: Node, x: number): number {
  const alpha = floatAttributeOr(node, "alpha", 0.2);
  return Math.max(0, Math.min(1, alpha * x + floatAttributeOr(node, "beta", 0.5)));
}
