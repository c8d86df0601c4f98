import { at } from "../../graph/at.js";
import { elementCount } from "../../graph/tensor.js";
import { mergeFactors } from "../../layers/decomposition.js";
import { rankFactors, type SurveyedLayer } from "./layers.js";

/** One change of one layer. */
export interface Variant {
  /** Basis kernels of the best approximation (SVD); undefined for the layer as it is. */
  readonly basis: number | undefined;
  /** Share of the coefficients (without a basis: of the weights) that is zero, smallest first; in [0, 1]. */
  readonly sparsity: number;
}

/** Values with the share `sparsity` of smallest magnitude as zeros; of equal ones the first go. Rounded to elements. */
export function removeSmallest(values: Float32Array, sparsity: number): Float32Array {
  const count = Math.round(sparsity * values.length);
  if (count === 0) return values;
  const sorted = values.map(Math.abs).sort();
  const threshold = at(sorted, count - 1);
  // Of those at the threshold itself, as many go as are needed.
  let atThreshold = count - sorted.indexOf(threshold);
  return values.map((value) => {
    const magnitude = Math.abs(value);
    if (magnitude > threshold) return value;
    if (magnitude < threshold) return 0;
    atThreshold -= 1;
    return atThreshold >= 0 ? 0 : value;
  });
}

/**
 * The weight of a changed layer, row-major in its own dimensions. Without sparsity the kernels' best approximation on
 * `basis` kernels; with it, coefficients are removed by magnitude (PENNI, section 3.3): those of the layer's own
 * factors where it is decomposed already, the weights themselves where it has no basis.
 */
export function variantWeight(layer: SurveyedLayer, { basis, sparsity }: Variant): Float32Array {
  if (basis === undefined) return removeSmallest(layer.kernels, sparsity);
  const factors = (sparsity > 0 ? layer.factors : undefined) ?? rankFactors(layer, basis);
  const coefs = removeSmallest(factors.coefs, sparsity);
  return mergeFactors(coefs, factors.basis, elementCount(layer.dims.slice(2)));
}
