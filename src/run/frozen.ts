import type { Graph } from "../graph/types.js";
import { floatOutputs, type Trainability, trainability } from "../method/frozen.js";
import { layerName } from "../method/inspect.js";
import { someNames } from "../method/remarks.js";
import { hasTraining, type RunConfig } from "./config.js";

const nothing: Trainability = { frozen: new Set(), blockades: [], isTrainable: true };

/**
 * Which weights of a network this run cannot train, because a node between them and what the loss compares has no
 * gradient. They stay as they are: neither decomposed nor pruned.
 */
export function frozenIn(
  graph: Graph,
  { settings, reference }: Pick<RunConfig, "settings" | "reference">,
): Trainability {
  if (!hasTraining(settings)) return nothing;
  const matched = settings.loss.outputs?.map(({ output }) => output) ?? floatOutputs(graph);
  const first = graph.outputs.slice(0, 1).map(({ name }) => name);
  return trainability(graph, reference === "original" ? matched : first);
}

/** What the user is told about weights that are not trained; nothing where all are. */
export function describeFrozen({ frozen, blockades }: Trainability): readonly string[] {
  if (frozen.size === 0) return [];
  const nodes = blockades.map(({ node }) => `"${layerName(node)}" (${node.op})`).join(", ");
  return [
    `weights that no gradient reaches stay as they are, because of ${nodes}: ${someNames([...frozen])}`,
  ];
}
