import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { countGraph } from "./count.js";

/** Multiply-accumulates of the images that errors of outputs are measured on, and how many there are at least. */
const COMPARED_MACS = 4e10;
const LEAST_COMPARED = 64;

/** How many images errors of outputs are measured on, where there are so many. */
export function comparedImages(network: Graph): number {
  const { executedMacs } = countGraph(fixBatch(network, 1));
  return Math.max(LEAST_COMPARED, Math.round(COMPARED_MACS / Math.max(1, executedMacs)));
}
