import { float } from "../../graph/attributes.js";
import { activation } from "../channels/lanewise.js";
import { clipGradient } from "../composites/clip_gradient.js";
import { add, mul } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";
import { HARD_SIGMOID_BOUNDS } from "./hard_sigmoid.js";

/**
 * y = x·h with h = max(0, min(1, x/6 + 1/2)) (ONNX HardSwish, opset 14 and later).
 * dx = dy·(h + x/6·[0 < h < 1]).
 */
export const HardSwish = unaryOp("HardSwish", {
  facts: { onBlocks: true },
  channels: activation((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  gradient: ({ b, x, dy }) => {
    const h = b.emit("HardSigmoid", [x], { attributes: { alpha: float(1 / 6), beta: float(0.5) } });
    const slope = clipGradient(b, mul(b, x, b.scalar(1 / 6)), h, HARD_SIGMOID_BOUNDS);
    return mul(b, dy, add(b, h, slope));
  },
});
