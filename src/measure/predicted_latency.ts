import { fastestTime, type KernelRates } from "../compile/cost_model.js";
import { present } from "../graph/at.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { countGraph, type LayerCount } from "./count.js";

/**
 * Nanoseconds of one run by the compiler's cost model, as far as they are products of layers: for comparing networks
 * with each other. Input dimensions must be fixed.
 */
export function predictedLatency(graph: Graph, rates: KernelRates): number {
  return countGraph(graph).layers.reduce((sum, layer) => sum + predictedTime(layer, rates), 0);
}

/** The same of one layer; where its zeros count, at each position as the compiler would compute it. */
export function predictedTime(
  { executedMacs, paperMacs, sparse, weightDims }: LayerCount,
  rates: KernelRates,
): number {
  if (sparse === undefined || sparse.positions === 0) return executedMacs / rates.dense;
  const { nonZeros, positions } = sparse;
  const dims = present(weightDims, "the dimensions of a weight whose zeros count");
  const dense = executedMacs / positions;
  const basis = paperMacs / positions - nonZeros;
  if (basis === 0) return positions * fastestTime({ dense, nonZeros, factored: undefined }, rates);
  // Merged kernels have hardly a zero as long as each has a coefficient.
  const merged = Math.min(elementCount(dims), nonZeros * elementCount(dims.slice(2)));
  return positions * fastestTime({ dense, nonZeros: merged, factored: { basis, nonZeros } }, rates);
}
