import { readModel } from "../../files/model_files.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { findDecompositions } from "../../layers/weights.js";
import { leastFraction, otherWays } from "../calibrate.js";
import { sparing } from "../goal/pruned.js";
import { importForCompression } from "../import_for_compression.js";
import { mergeDecompositions } from "../merge_decompositions.js";
import { checkReachable, pruneToMacs } from "../prune.js";
import { ownCoefficients } from "../prune_kernels.js";
import type { RunConfig, Settings } from "./config.js";
import type { RunDirectory } from "./directory.js";
import { counts, fileCounts } from "./outcome.js";

const shown = (value: number): string => value.toLocaleString("en-US");

/** What a run's target is a fraction of, and what becomes of layers that came in decomposed. */
export function describeTarget(
  { settings }: Pick<RunConfig, "settings">,
  original: Graph,
): readonly string[] {
  const { prune, start } = settings;
  if (prune.rule !== "macs") return [];
  const { paperMacs } = fileCounts(original);
  const target = `target: ${Number((100 * prune.fraction).toFixed(4))} % of the ${shown(paperMacs)} multiply-accumulates (paper count) of the network that came in, ${shown(Math.floor(prune.fraction * paperMacs))}`;
  const own = findDecompositions(importForCompression(original)).length;
  if (own === 0) return [target];
  const layers = own === 1 ? "1 layer is decomposed already" : `${own} layers are decomposed already`;
  const bases =
    start === "calibrate"
      ? "they go on from their bases or get new ones, whatever costs less"
      : "they keep their bases, of which kernels go that are worth less than they cost";
  return [`${target}; not of what it was once made from`, `${layers}: ${bases}`];
}

/** Multiply-accumulates (paper count) of the network that a run's target is a fraction of, for one image. */
export async function originalMacs(run: RunDirectory): Promise<number> {
  return counts(await readModel(run.stagePath("normalize"))).paperMacs;
}

/** A network that is to be pruned to a target. */
interface TargetedNetwork {
  readonly graph: Graph;
  /** Asked for where the bases come from the kernels. */
  readonly decomposed: () => Graph;
  readonly frozen: ReadonlySet<string>;
  /** What the target is a fraction of (`originalMacs`). */
  readonly original: number;
}

/**
 * Refuses a MACs target that cannot be reached, which does not depend on the coefficients: pruning them all must be enough.
 * @throws PenniError "bad-option"
 */
export function checkTarget(
  { graph, decomposed, frozen, original }: TargetedNetwork,
  { prune, start, basis }: Pick<Settings, "prune" | "start" | "basis">,
): void {
  if (prune.rule !== "macs") return;
  const { fraction } = prune;
  if (start === "calibrate") {
    const { graph: merged, factors } = mergeDecompositions(graph);
    const share = original === 0 ? 0 : counts(graph).paperMacs / original;
    checkReachable(fraction, share * leastFraction(merged, { basis, factors }), otherWays(basis));
    return;
  }
  pruneToMacs(fixBatch(decomposed(), 1), {
    fraction,
    originalMacs: original,
    scales: sparing(frozen),
    cuttable: ownCoefficients(graph),
  });
}
