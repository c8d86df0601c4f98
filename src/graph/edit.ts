import type { Graph, Tensor } from "./types.js";
import { namesRead } from "./verify.js";

/** Every name a graph uses, for values and for nodes. */
export function usedNames(graph: Graph): Set<string> {
  const names = new Set<string>();
  for (const name of graph.initializers.keys()) names.add(name);
  for (const name of graph.valueInfo.keys()) names.add(name);
  for (const { name } of graph.inputs) names.add(name);
  for (const { name } of graph.outputs) names.add(name);
  for (const node of graph.nodes) {
    names.add(node.name);
    for (const name of namesRead(node)) names.add(name);
    for (const name of node.outputs) names.add(name);
  }
  return names;
}

/** The names in use, to which those handed out are added. */
export interface TakenNames {
  has(name: string): boolean;
  add(name: string): unknown;
}

/** The names of a set and, beside them, what is taken later: the set stays as it is. */
export function takenBeside(used: ReadonlySet<string>): TakenNames {
  const own = new Set<string>();
  return { has: (name) => used.has(name) || own.has(name), add: (name) => own.add(name) };
}

/** Hands out names that nothing uses yet: `stem`, or `stem_2`, `stem_3`, ... Each is then taken. */
export function freshNames(taken: TakenNames): (stem: string) => string {
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
