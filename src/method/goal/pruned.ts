import { withInitializers } from "../../graph/edit.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { countGraph } from "../../measure/count.js";
import {
  type MacsTarget,
  nonZeroLimits,
  type Pruning,
  pruneAll,
  pruneCoefficients,
  prunedShares,
  pruneToMacs,
} from "../prune.js";
import { ownCoefficients } from "../prune_kernels.js";
import { leastRounded } from "./search.js";

/** A network whose coefficients may go, and what it is compared with. */
export interface PrunableNetwork {
  /** Decomposed. */
  readonly graph: Graph;
  /** What was decomposed, with values of the same names. */
  readonly original: Graph;
  /** Names of initializers that stay as they are. */
  readonly frozen: ReadonlySet<string>;
}

/**
 * Without the smallest coefficients, until this fraction of the original's multiply-accumulates (paper count) is left.
 * @throws PenniError "bad-option" if that cannot be reached
 */
export function prunedToFraction(network: PrunableNetwork, fraction: number): Graph {
  const { graph } = network;
  return withPruned(graph, pruneToMacs(fixBatch(graph, 1), { fraction, ...boundsOf(network) }));
}

/** What pruning to a fraction keeps to. */
function boundsOf({ graph, original, frozen }: PrunableNetwork): Omit<MacsTarget, "fraction"> {
  const first = fixBatch(original, 1);
  return {
    originalMacs: countGraph(first).paperMacs,
    scales: sparing(frozen),
    limits: nonZeroLimits(first, fixBatch(graph, 1)),
    cuttable: ownCoefficients(first),
  };
}

/** Without the coefficients below so many standard deviations of their layer. */
export function prunedByDeviation({ graph, original, frozen }: PrunableNetwork, factor: number): Graph {
  const limits = nonZeroLimits(fixBatch(original, 1), fixBatch(graph, 1));
  return pruneCoefficients(graph, { factor, scales: sparing(frozen), limits }).graph;
}

/** The smallest fraction that pruning can reach and the one that it starts from, with as many decimals as fractions have. */
export function prunableRange(network: PrunableNetwork): { readonly least: number; readonly most: number } {
  const { least, most } = prunedShares(fixBatch(network.graph, 1), boundsOf(network));
  return { least: leastRounded(least), most: leastRounded(most) };
}

/** Without any coefficient that may go. */
export function withoutCoefficients({ graph, frozen }: PrunableNetwork): Graph {
  return pruneAll(graph, { scales: sparing(frozen) });
}

/** Pruning scales that spare these initializers. */
export function sparing(frozen: ReadonlySet<string>): ReadonlyMap<string, number> {
  return new Map([...frozen].map((name) => [name, 0]));
}

function withPruned(graph: Graph, pruning: Pruning): Graph {
  const changed = pruning.layers.flatMap(({ initializer }) => {
    const tensor = pruning.graph.initializers.get(initializer);
    return tensor === undefined ? [] : [[initializer, tensor] as const];
  });
  return withInitializers(graph, changed);
}
