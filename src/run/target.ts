import type { Graph } from "../graph/types.js";
import { findDecompositions } from "../layers/weights.js";
import { leastFraction, otherWays } from "../method/calibrate.js";
import { askedCriterion } from "../method/goal/criterion.js";
import { importForCompression } from "../method/import_for_compression.js";
import { mergeDecompositions } from "../method/merge_decompositions.js";
import { checkReachable } from "../method/prune.js";
import type { RunConfig, Settings } from "./config.js";
import { counts, fileCounts } from "./outcome.js";

const shown = (value: number): string => value.toLocaleString("en-US");

/** What a run's target is a fraction of, and what becomes of layers that came in decomposed. */
export function describeTarget(
  { settings }: Pick<RunConfig, "settings">,
  original: Graph,
): readonly string[] {
  const { prune, start } = settings;
  const fraction = askedCriterion(prune)?.fraction;
  if (fraction === undefined) return [];
  const { paperMacs } = fileCounts(original);
  const target = `target: ${Number((100 * fraction).toFixed(4))} % of the ${shown(paperMacs)} multiply-accumulates (paper count) of the network that came in, ${shown(Math.floor(fraction * paperMacs))}`;
  const own = findDecompositions(importForCompression(original)).length;
  if (own === 0) return [target];
  const layers = own === 1 ? "1 layer is decomposed already" : `${own} layers are decomposed already`;
  const bases =
    start === "calibrate"
      ? "they go on from their bases or get new ones, whatever costs less"
      : "they keep their bases, of which kernels go that are worth less than they cost";
  return [`${target}; not of what it was once made from`, `${layers}: ${bases}`];
}

/** A network that is to be pruned. */
interface TargetedNetwork {
  readonly graph: Graph;
  /** Asked for where the bases come from the kernels. */
  readonly decomposed: () => Graph;
  readonly frozen: ReadonlySet<string>;
  /** What fractions are of, with values of the same names. */
  readonly original: Graph;
}

/**
 * Refuses a rule that cannot be kept to, which does not depend on the coefficients.
 * @throws PenniError "bad-option"
 */
export function checkTarget(
  { graph, decomposed, frozen, original }: TargetedNetwork,
  { prune, start, basis, channelMultiple }: Pick<Settings, "prune" | "start" | "basis" | "channelMultiple">,
): void {
  const criterion = askedCriterion(prune);
  if (criterion === undefined) return;
  const { fraction, checkReachable: check } = criterion;
  if (start === "calibrate" && fraction !== undefined) {
    const { graph: merged, factors } = mergeDecompositions(graph);
    const { paperMacs } = counts(original);
    const share = paperMacs === 0 ? 0 : counts(graph).paperMacs / paperMacs;
    checkReachable(fraction, share * leastFraction(merged, { basis, factors }), otherWays(basis));
    return;
  }
  check?.({ graph: decomposed(), original, frozen, channelMultiple });
}
