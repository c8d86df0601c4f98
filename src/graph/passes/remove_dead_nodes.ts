import type { Graph, Node } from "../types.js";
import { namesRead } from "../verify.js";

/**
 * Removes nodes, initializers and declared types that no graph output depends on. Values that a live node's
 * subgraphs capture are live; graph inputs stay.
 */
export function removeDeadNodes(graph: Graph): Graph {
  const live = new Set(graph.outputs.map((output) => output.name));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => live.has(name))) continue;
    nodes.push(node);
    for (const name of namesRead(node)) live.add(name);
  }
  const initializers = onlyNamed(graph.initializers, (name) => live.has(name));
  const valueInfo =
    graph.valueInfo.size === 0 ? graph.valueInfo : onlyDefined({ ...graph, nodes, initializers });
  const nothingToDo =
    nodes.length === graph.nodes.length &&
    initializers.size === graph.initializers.size &&
    valueInfo.size === graph.valueInfo.size;
  return nothingToDo ? graph : { ...graph, nodes: nodes.reverse(), initializers, valueInfo };
}

function onlyNamed<Value>(
  all: ReadonlyMap<string, Value>,
  isKept: (name: string) => boolean,
): ReadonlyMap<string, Value> {
  return new Map([...all].filter(([name]) => isKept(name)));
}

/** The declared types of values that exist. */
function onlyDefined({ inputs, initializers, nodes, valueInfo }: Graph): Graph["valueInfo"] {
  const defined = new Set(inputs.map((input) => input.name));
  for (const name of initializers.keys()) defined.add(name);
  for (const { outputs } of nodes) for (const name of outputs) defined.add(name);
  return onlyNamed(valueInfo, (name) => defined.has(name));
}
