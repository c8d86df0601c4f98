import { orDefault } from "./at.js";
import { PenniError } from "./errors.js";
import { capturedNames } from "./links.js";
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
    let suffix = orDefault(next.get(stem), 2);
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

/**
 * The graph with initializers in memory of their own: a tensor of a few bytes that was read from a file keeps all of the
 * file's bytes, which matters to whoever holds the graph for long.
 */
export function withOwnMemory(graph: Graph): Graph {
  const initializers = [...graph.initializers].map(([name, tensor]) => {
    const { bytes } = tensor;
    const isOwn = bytes.byteLength === bytes.buffer.byteLength;
    return [name, isOwn ? tensor : { ...tensor, bytes: Uint8Array.from(bytes) }] as const;
  });
  return { ...graph, initializers: new Map(initializers) };
}

/**
 * The graph with other names for some values, all at once.
 * @throws PenniError "unsupported" if a branch or loop reads one of them
 */
export function renameValues(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const rename = (name: string): string => names.get(name) ?? name;
  const info = <Info extends { readonly name: string }>(value: Info): Info => ({
    ...value,
    name: rename(value.name),
  });
  const nodes = graph.nodes.map((node) => {
    const captured = capturedNames(node).find(
      (name) => names.has(name) || [...names.values()].includes(name),
    );
    if (captured !== undefined) {
      throw new PenniError("unsupported", "a value that a branch or loop reads cannot be renamed", {
        node: node.name,
        op: node.op,
        found: captured,
      });
    }
    return { ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
  });
  return {
    ...graph,
    nodes,
    inputs: graph.inputs.map(info),
    outputs: graph.outputs.map(info),
    initializers: new Map([...graph.initializers].map(([name, tensor]) => [rename(name), tensor])),
    valueInfo: new Map([...graph.valueInfo].map(([name, type]) => [rename(name), type])),
  };
}
