import { type ConvWork, fastestTime } from "../compile/cost_model.js";
import { preparesWeights, type Target } from "../compile/target.js";
import { byWinograd } from "../compile/winograd_cost.js";
import { present } from "../graph/at.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { convGeometry } from "../ops/families/conv_geometry.js";
import { countGraph, type LayerCount } from "./count.js";

/**
 * Nanoseconds of one run by the compiler's cost model, as far as they are products of layers: for comparing networks
 * with each other. Input dimensions must be fixed.
 */
export function predictedLatency(graph: Graph, target: Target): number {
  return countGraph(graph).layers.reduce((sum, layer) => sum + predictedTime(layer, target), 0);
}

/** The same of one layer, as the compiler would compute it; zeros count where they count for the paper. */
export function predictedTime(layer: LayerCount, target: Target): number {
  return Math.min(timeBySums(layer, target), timeByTiles(layer, target));
}

function timeBySums(layer: LayerCount, { rates }: Target): number {
  const { executedMacs, sparse } = layer;
  if (sparse === undefined || sparse.positions === 0) return executedMacs / rates.dense;
  return sparse.positions * fastestTime(workOf(layer, sparse), rates);
}

function workOf(
  { executedMacs, paperMacs, weightDims }: LayerCount,
  { nonZeros, positions }: NonNullable<LayerCount["sparse"]>,
): ConvWork {
  const dims = present(weightDims, "the dimensions of a weight whose zeros count");
  const dense = executedMacs / positions;
  const basis = paperMacs / positions - nonZeros;
  if (basis === 0) return { dense, nonZeros, factored: undefined };
  // Merged kernels have hardly a zero as long as each has a coefficient.
  const merged = Math.min(elementCount(dims), nonZeros * elementCount(dims.slice(2)));
  return { dense, nonZeros: merged, factored: { basis, nonZeros } };
}

function timeByTiles({ node, inputDims, weightDims }: LayerCount, target: Target): number {
  if (node.op !== "Conv" || inputDims?.length !== 4 || weightDims?.length !== 4)
    return Number.POSITIVE_INFINITY;
  const geometry = convGeometry(node, inputDims, weightDims);
  const tiled = byWinograd(geometry, target, preparesWeights(target, "float32"));
  return tiled === undefined ? Number.POSITIVE_INFINITY : geometry.batch * tiled.nanoseconds;
}
