import { floatAttribute } from "../graph/attributes.js";
import type { Node } from "../graph/types.js";
import type { TypedBuilder } from "./builder.js";
import { activation } from "./channels/lanewise.js";
import { unaryOp } from "./elementwise.js";
import { mul, sub } from "./emit.js";

/** 1 where a hard sigmoid's output y lies strictly between 0 and 1, else 0: sign(y·(1 - y)). */
export function hardSigmoidActive(b: TypedBuilder, y: string): string {
  return b.emit("Sign", [mul(b, y, sub(b, b.scalar(1), y))]);
}

/** y = max(0, min(1, α·x + β)) (ONNX HardSigmoid, opset 6 and later). dx = dy·α·[0 < y < 1]. */
export const HardSigmoid = unaryOp("HardSigmoid", {
  channels: activation((x, { node }) => hardSigmoidOf(node, x)),
  gradient: ({ b, node, y, dy }) => {
    const alpha = floatAttribute(node, "alpha") ?? 0.2;
    return mul(b, mul(b, dy, b.scalar(alpha)), hardSigmoidActive(b, y));
  },
});

function hardSigmoidOf(node: Node, x: number): number {
  const alpha = floatAttribute(node, "alpha") ?? 0.2;
  return Math.max(0, Math.min(1, alpha * x + (floatAttribute(node, "beta") ?? 0.5)));
}
