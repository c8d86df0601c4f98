import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { nonZeroLimits, pruneCoefficients } from "../prune.js";

/** A network whose coefficients may go, and what it is compared with. */
export interface PrunableNetwork {
  /** Decomposed. */
  readonly graph: Graph;
  /** What was decomposed, with values of the same names. */
  readonly original: Graph;
  /** Names of initializers that stay as they are. */
  readonly frozen: ReadonlySet<string>;
  /** Shrinking leaves multiples of so many channels. */
  readonly channelMultiple: number;
  /** What the loss rises by without each value, where a target goes by that: see `MacsTarget`. */
  readonly losses?: ReadonlyMap<string, Float32Array> | undefined;
}

/** Pruning scales that spare these initializers. */
export function sparing(frozen: ReadonlySet<string>): ReadonlyMap<string, number> {
  return new Map([...frozen].map((name) => [name, 0]));
}

/** How many values each initializer may keep, so that no layer costs more than it did originally. */
export function limitsOf({
  graph,
  original,
}: Pick<PrunableNetwork, "graph" | "original">): ReadonlyMap<string, number> {
  return nonZeroLimits(fixBatch(original, 1), fixBatch(graph, 1));
}

/** A pruned network without the least coefficients of layers that would cost more than they did originally. */
export function withinOriginal({ graph, original, frozen }: PrunableNetwork): Graph {
  const limits = limitsOf({ graph, original });
  return pruneCoefficients(graph, { factor: 0, scales: sparing(frozen), limits }).graph;
}
