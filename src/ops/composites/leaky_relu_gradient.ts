import { float, floatAttributeOr } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { compositeInputs, emitCompositeValue } from "../core/composite.js";
import { type OpDefinition, onlyInTraining, sameTypeAsFirstInput } from "../core/definition.js";
import { mul } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { STEEP } from "./clip_gradient.js";

/**
 * Gradient of y = x for x > 0, α·x below, with 0 < α ≤ 1, a composite: dy and y of one shape, attribute `alpha` ->
 * dx = dy·max(min(STEEP·y, 1), α), which is dy where y > 0 and α·dy elsewhere.
 */
export const LeakyReluGradient: OpDefinition = {
  type: "LeakyReluGradient",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: sameTypeAsFirstInput,
  expand: (b, node) => {
    const [dy, y] = compositeInputs(node, 2);
    const steep = mul(b, y, b.scalar(STEEP));
    return [mul(b, dy, b.emit("Clip", [steep, b.scalar(slopeBelow(node)), b.scalar(1)]))];
  },
};

export function leakyReluGradient(b: Emitter, dy: string, y: string, alpha: number): string {
  return emitCompositeValue(b, LeakyReluGradient.type, [dy, y], { alpha: float(alpha) });
}

/** α of a LeakyRelu or of its gradient. */
export const slopeBelow = (node: Node): number => floatAttributeOr(node, "alpha", 0.01);
