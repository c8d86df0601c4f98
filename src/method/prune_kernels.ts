import { at, present } from "../graph/at.js";
import type { Graph } from "../graph/types.js";
import { type DecomposedLayer, findDecompositions } from "../layers/weights.js";

/** The basis of a layer whose kernels may go as a whole. */
export interface CuttableBasis {
  /** Basis kernels, the last axis of the coefficients. */
  readonly d: number;
  /** Products that one kernel costs at each output position, besides one for each of its coefficients. */
  readonly kernelMacs: number;
}

/** What is left of a layer at a threshold. */
export interface Remainder {
  readonly nonZeros: number;
  /** For each basis kernel whether it stays; undefined where kernels do not go as a whole. */
  readonly kernels: readonly boolean[] | undefined;
}

/** Whether a value stays at a threshold. */
export const lives = (value: number, threshold: number): boolean =>
  value !== 0 && Math.abs(value) >= threshold;

/** The coefficients of the layers that a network came in with decomposed, for `MacsTarget.cuttable`. */
export function ownCoefficients(original: Graph): ReadonlySet<string> {
  return new Set(findDecompositions(original).map(({ coefs }) => coefs));
}

/** By the name of the coefficients; what several layers share is not for one of them to cut. */
export function cuttableBases(
  graph: Graph,
  wanted?: ReadonlySet<string>,
): ReadonlyMap<string, CuttableBasis> {
  if (wanted === undefined || wanted.size === 0) return new Map();
  const found = findDecompositions(graph);
  const isAlone = ({ coefs, basis }: DecomposedLayer): boolean =>
    found.filter((other) => other.coefs === coefs || other.basis === basis).length === 1;
  const layers = found.filter((layer) => wanted.has(layer.coefs) && isAlone(layer));
  return new Map(
    layers.map(({ coefs, C, R, S, d, groups }) => [coefs, { d, kernelMacs: C * groups * R * S }]),
  );
}

/**
 * A threshold t says that a product is worth t^2 of squared sizes, those of coefficients by default. So a kernel goes, with all its coefficients, where
 * the squares of those that live are less than its products are worth: its own and one for each of them. The
 * strongest kernel always stays. A higher threshold never leaves more kernels.
 */
export function remainingKernels(
  sizes: Float32Array,
  { d, kernelMacs }: CuttableBasis,
  threshold: number,
): Remainder {
  const living = new Float64Array(d);
  const worth = new Float64Array(d);
  for (let place = 0; place < sizes.length; place++) {
    const value = present(sizes[place]);
    if (!lives(value, threshold)) continue;
    const kernel = place % d;
    living[kernel] = present(living[kernel]) + 1;
    worth[kernel] = present(worth[kernel]) + value * value - threshold * threshold;
  }
  const strongest = worth.indexOf(worth.reduce((most, value) => Math.max(most, value)));
  const kernels = Array.from(worth, (value, kernel) => {
    const hasCoefficients = at(living, kernel) > 0;
    return kernel === strongest || (hasCoefficients && value >= threshold * threshold * kernelMacs);
  });
  const nonZeros = living.reduce((sum, count, kernel) => (kernels[kernel] === true ? sum + count : sum), 0);
  return { nonZeros, kernels };
}
