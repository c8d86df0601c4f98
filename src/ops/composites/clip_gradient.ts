import { float, floatAttributeOr } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { compositeInputs, emitCompositeValue } from "../core/composite.js";
import { type OpDefinition, onlyInTraining, sameTypeAsFirstInput } from "../core/definition.js";
import { mul } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";

/** An open interval; -Infinity and Infinity for none. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/**
 * Gradient of y = min(max(x, low), high), a composite: dy and y of one shape -> dx = dy where low < y < high, else 0;
 * attributes `low` and `high`, absent for none. At a bound itself the gradient is 0, as for PyTorch's ReLU and ReLU6.
 */
export const ClipGradient: OpDefinition = {
  type: "ClipGradient",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: sameTypeAsFirstInput,
  expand: (b, node) => {
    const [dy, y] = compositeInputs(node, 2);
    const masks = stepsWithin(boundsOf(node)).map(({ alpha, beta }) =>
      b.emit("HardSigmoid", [y], { attributes: { alpha: float(alpha), beta: float(beta) } }),
    );
    return [masks.reduce((dx, mask) => mul(b, dx, mask), dy)];
  },
};

export function clipGradient(b: Emitter, dy: string, y: string, { low, high }: Bounds): string {
  return emitCompositeValue(b, ClipGradient.type, [dy, y], {
    low: Number.isFinite(low) ? float(low) : undefined,
    high: Number.isFinite(high) ? float(high) : undefined,
  });
}

export function boundsOf(node: Node): Bounds {
  return {
    low: floatAttributeOr(node, "low", -Infinity),
    high: floatAttributeOr(node, "high", Infinity),
  };
}

/** So steep that a float32 is at 1 as soon as it is above 1e-30; a power of two, so that products with it are exact. */
export const STEEP = 2 ** 100;

/** Bounds up to here can be told from their neighbours by `stepsWithin`: their products with STEEP are finite. */
export const LARGEST_BOUND = 2 ** 27;

/**
 * Functions min(max(α·y + β, 0), 1), one for each bound, whose product is 1 inside and 0 at the bounds and beyond.
 * HardSigmoid is vectorized in ONNX Runtime, where Sign, Where and Equal are not.
 */
export function stepsWithin({
  low,
  high,
}: Bounds): readonly { readonly alpha: number; readonly beta: number }[] {
  return [
    ...(Number.isFinite(low) ? [{ alpha: STEEP, beta: -STEEP * low }] : []),
    ...(Number.isFinite(high) ? [{ alpha: -STEEP, beta: STEEP * high }] : []),
  ];
}
