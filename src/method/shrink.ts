import type { Graph } from "../graph/types.js";
import { analyseChannels } from "./shrink/analysis.js";
import { rewriteGraph } from "./shrink/apply.js";
import { dropUnusedBasisKernels } from "./shrink/basis_kernels.js";
import { changesAnything, checkAgainst, planFromAnalysis, type ShrinkOptions } from "./shrink/plan.js";
import { shufflesToGathers } from "./shrink/shuffles.js";

export type { WallNode } from "./shrink/analysis.js";
export { applyShrink } from "./shrink/apply.js";
export { dropUnusedBasisKernels } from "./shrink/basis_kernels.js";
export { type LayerChannels, layerChannels } from "./shrink/layers.js";
export {
  changesAnything,
  checkPlan,
  type LayerPlan,
  planShrink,
  type ShrinkOptions,
  type ShrinkPlan,
} from "./shrink/plan.js";
export { shufflesToGathers } from "./shrink/shuffles.js";

/**
 * Removes every channel and basis kernel that does not matter, again and again until nothing is left to
 * remove. Exact: the outputs agree with the given graph's to float rounding. Run `simplify` first, so that
 * constants are initializers. Returns the very same graph if there is nothing to remove.
 * With `multiple`, channels stay so as to make their numbers multiples of it: runtimes that work on blocks of
 * channels are slower on 61 of them than on 64.
 */
export function shrink(graph: Graph, options: ShrinkOptions = {}): Graph {
  const start = shufflesToGathers(graph);
  // Each round removes lanes, operands or kernels, so this ends.
  for (let current = start; ; ) {
    const next = dropUnusedBasisKernels(shrinkOnce(current, options));
    if (next === current) return current === start ? graph : current;
    current = next;
  }
}

function shrinkOnce(graph: Graph, options: ShrinkOptions): Graph {
  const analysis = analyseChannels(graph);
  const plan = planFromAnalysis(analysis, options);
  if (!changesAnything(plan)) return graph;
  checkAgainst(analysis, plan);
  return rewriteGraph(analysis, plan);
}
