import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { boundsOf } from "../criteria/macs.js";
import { type PrunableNetwork, sparing } from "../criteria/network.js";
import { pruneAll, prunedShares } from "../prune.js";
import { leastRounded } from "./search.js";

/** The smallest fraction that pruning can reach and the one that it starts from, with as many decimals as fractions have. */
export function prunableRange(network: PrunableNetwork): { readonly least: number; readonly most: number } {
  const { least, most } = prunedShares(fixBatch(network.graph, 1), boundsOf(network));
  return { least: leastRounded(least), most: leastRounded(most) };
}

/** Without any coefficient that may go. */
export function withoutCoefficients({ graph, frozen }: PrunableNetwork): Graph {
  return pruneAll(graph, { scales: sparing(frozen) });
}
