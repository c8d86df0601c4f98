import { present } from "../graph/at.js";
import { float32Data } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";

/** What the loss is expected to rise by when a value becomes zero, from its gradients on single images. */
export interface LossSaliency {
  /** Of a gradient for one image; its mean over images is `moment`. */
  readonly of: (gradient: number) => number;
  readonly rise: (value: number, moment: number) => number;
}

export const lossSaliencies = {
  /**
   * Squared gradients stand for the curvature (the empirical Fisher information's diagonal), so the rise is half of the square
   * of the value times their mean (Theis et al. 2018; optimal brain damage with that curvature).
   */
  fisher: { of: (gradient) => gradient * gradient, rise: (value, moment) => (value * value * moment) / 2 },
  /** First order: the mean over images of what the gradient says the loss changes by, whichever way (Molchanov et al. 2017). */
  taylor: { of: Math.abs, rise: (value, moment) => Math.abs(value) * moment },
} as const satisfies Readonly<Record<string, LossSaliency>>;

/** What the loss rises by without each value of some initializers, by their names: `MacsTarget.losses`. */
export function lossesWithout(
  { initializers }: Graph,
  moments: ReadonlyMap<string, Float32Array>,
  { rise }: LossSaliency,
): ReadonlyMap<string, Float32Array> {
  return new Map(
    [...moments].flatMap(([name, means]) => {
      const tensor = initializers.get(name);
      if (tensor === undefined) return [];
      return [[name, float32Data(tensor).map((value, at) => rise(value, present(means[at])))] as const];
    }),
  );
}
