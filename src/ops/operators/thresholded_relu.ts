import { floatAttributeOr } from "../../graph/attributes.js";
import { activation } from "../channels/lanewise.js";
import { unaryOp } from "../families/elementwise.js";

/** y = x where x > α, else 0 (ONNX ThresholdedRelu, opset 10 and later). dx = dy there, else 0. */
export const ThresholdedRelu = unaryOp("ThresholdedRelu", {
  channels: activation((x, { node }) => thresholded(x, floatAttributeOr(node, "alpha", 1))),
  gradient: ({ b, node, x, dy }) => {
    const alpha = b.scalar(floatAttributeOr(node, "alpha", 1));
    return b.emit("Where", [b.emit("Greater", [x, alpha]), dy, b.scalar(0)]);
  },
});

/** Relative distance from the jump within which rounding in the runtime may decide otherwise. */
const DOUBT = 1e-4;

function thresholded(x: number, alpha: number): number | undefined {
  if (Math.abs(x - alpha) <= DOUBT * Math.max(1, Math.abs(alpha))) return undefined;
  return x > alpha ? x : 0;
}
