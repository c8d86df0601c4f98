import { composeMappings, identityMapping } from "../graph/mapping.js";
import type { Graph } from "../graph/types.js";
import type { Shrunk } from "./shrink/apply.js";
import { dropUnusedBasisKernels } from "./shrink/basis_kernels.js";
import { shrinkOnce } from "./shrink/border_search.js";
import type { ShrinkOptions } from "./shrink/plan.js";
import { shufflesToGathers } from "./shrink/shuffles.js";

export type { WallNode } from "./shrink/analysis.js";
export { applyShrink, type Shrunk } from "./shrink/apply.js";
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
  return shrinkWithMapping(graph, options).graph;
}

/** `shrink`, and which elements of which old initializer each new one keeps. */
export function shrinkWithMapping(graph: Graph, options: ShrinkOptions = {}): Shrunk {
  const start = shufflesToGathers(graph);
  let current: Shrunk = { graph: start, mapping: identityMapping(graph) };
  // Each round removes lanes, operands or kernels, so this ends.
  for (;;) {
    const smaller = dropUnusedKernelsAfter(shrinkOnce(current.graph, options));
    if (smaller.graph === current.graph) break;
    current = { graph: smaller.graph, mapping: composeMappings(current.mapping, smaller.mapping) };
  }
  return current.graph === start ? { graph, mapping: identityMapping(graph) } : current;
}

function dropUnusedKernelsAfter({ graph, mapping }: Shrunk): Shrunk {
  const dropped = dropUnusedBasisKernels(graph);
  return { graph: dropped.graph, mapping: composeMappings(mapping, dropped.mapping) };
}
