import { float } from "../graph/attributes.js";
import { compositeInputs } from "./composite.js";
import { type OpDefinition, sameTypeAsFirstInput } from "./definition.js";
import { mul } from "./emit.js";

/**
 * Gradient of Relu, a composite: dy and y of one shape -> dx = dy where y > 0, else 0.
 */
export const ReluGradient: OpDefinition = {
  type: "ReluGradient",
  shape: sameTypeAsFirstInput,
  expand: (b, node) => {
    const [dy = "", y = ""] = compositeInputs(node, 2);
    return [mul(b, dy, activeMask(b, y))];
  },
};

/** So steep that every positive activation above 1e-30 is at 1. */
export const STEEP = 1e30;

/** 1 where y > 0, else 0: HardSigmoid is vectorized where Sign is not. */
function activeMask(b: Parameters<typeof mul>[0], y: string): string {
  return b.emit("HardSigmoid", [y], { attributes: { alpha: float(STEEP), beta: float(0) } });
}
