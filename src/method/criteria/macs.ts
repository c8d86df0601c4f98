import { z } from "zod";
import { entryOf } from "../../graph/at.js";
import { withInitializers } from "../../graph/edit.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { countGraph } from "../../measure/count.js";
import { type MacsTarget, type Pruning, pruneToMacs } from "../prune.js";
import { ownCoefficients } from "../prune_kernels.js";
import { defineCriterion } from "./criterion.js";
import { limitsOf, type PrunableNetwork, sparing } from "./network.js";

/**
 * The smallest multiple of the layers' standard deviations that brings the MACs (paper count) to a fraction; by losses, the
 * lowest price of a multiply-accumulate that does.
 */
export const macs = defineCriterion({
  schema: z.object({ rule: z.literal("macs"), fraction: z.number().gt(0).max(1) }),
  option: {
    flags: "--target-macs <f>",
    description: "prune to this fraction of the original's MACs (paper count)",
    expected: "a number above 0, up to 1",
    parse: (text) => {
      const fraction = Number(text);
      const isShare = text.trim() !== "" && fraction > 0 && fraction <= 1;
      return isShare ? { rule: "macs" as const, fraction } : undefined;
    },
  },
  apply: (network, { fraction }) => prunedToFraction(network, fraction),
  checkReachable: (network, { fraction }) => {
    prunedToFraction(network, fraction);
  },
  describe: ({ fraction }) =>
    `coefficients go until ${Number((100 * fraction).toFixed(2))} % of the original's MACs are left`,
  fraction: ({ fraction }) => fraction,
  fixesPlaces: false,
});

/**
 * Without the smallest coefficients, until this fraction of the original's multiply-accumulates (paper count) is left.
 * @throws PenniError "bad-option" if that cannot be reached
 */
export function prunedToFraction(network: PrunableNetwork, fraction: number): Graph {
  const { graph } = network;
  return withPruned(graph, pruneToMacs(fixBatch(graph, 1), { fraction, ...boundsOf(network) }));
}

/** What pruning to a fraction keeps to. */
export function boundsOf({ graph, original, frozen, losses }: PrunableNetwork): Omit<MacsTarget, "fraction"> {
  const first = fixBatch(original, 1);
  return {
    originalMacs: countGraph(first).paperMacs,
    scales: sparing(frozen),
    limits: limitsOf({ graph, original }),
    cuttable: ownCoefficients(first),
    losses,
  };
}

function withPruned(graph: Graph, pruning: Pruning): Graph {
  const changed = pruning.layers.map(
    ({ initializer }) => [initializer, entryOf(pruning.graph.initializers, initializer)] as const,
  );
  return withInitializers(graph, changed);
}
