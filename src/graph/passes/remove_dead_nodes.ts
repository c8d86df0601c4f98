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
  const initializers = new Map([...graph.initializers].filter(([name]) => live.has(name)));
  const defined = new Set([
    ...graph.inputs.map((input) => input.name),
    ...initializers.keys(),
    ...nodes.flatMap((node) => node.outputs),
  ]);
  const valueInfo = new Map([...graph.valueInfo].filter(([name]) => defined.has(name)));
  const nothingToDo =
    nodes.length === graph.nodes.length &&
    initializers.size === graph.initializers.size &&
    valueInfo.size === graph.valueInfo.size;
  return nothingToDo ? graph : { ...graph, nodes: nodes.reverse(), initializers, valueInfo };
}
