import { capturedNames } from "./links.js";
import type { Graph, Tensor } from "./types.js";

/** Every name a graph uses, for values and for nodes. */
export function usedNames(graph: Graph): Set<string> {
  const declared = [...graph.inputs, ...graph.outputs].map((info) => info.name);
  const inNodes = graph.nodes.flatMap((node) => [
    node.name,
    ...node.inputs,
    ...node.outputs,
    ...capturedNames(node),
  ]);
  return new Set([...graph.initializers.keys(), ...graph.valueInfo.keys(), ...declared, ...inNodes]);
}

/** Hands out names that nothing uses yet: `stem`, or `stem_2`, `stem_3`, ... Each is then taken. */
export function freshNames(taken: Set<string>): (stem: string) => string {
  // Names are never given back, so the search goes on where it ended.
  const next = new Map<string, number>();
  return (stem) => {
    let name = stem;
    let suffix = next.get(stem) ?? 2;
    for (; taken.has(name) || name === ""; suffix++) name = `${stem}_${suffix}`;
    next.set(stem, suffix);
    taken.add(name);
    return name;
  };
}

/** The graph with some initializers added or replaced. */
export function withInitializers(graph: Graph, changed: Iterable<readonly [string, Tensor]>): Graph {
  return { ...graph, initializers: new Map([...graph.initializers, ...changed]) };
}
