import { entryOf } from "../at.js";
import { PenniError } from "../errors.js";
import type { Graph, Node } from "../types.js";
import { definitionsOf, namesRead, undefinedValue } from "../verify.js";

/**
 * The graph with every node behind the nodes it reads from; the same object if it already is so.
 * @throws PenniError "bad-model" if a name is defined twice or not at all, or nodes depend on each other in
 * a circle.
 */
export function topologicalSort(graph: Graph): Graph {
  const definitions = definitionsOf(graph);
  const predecessors = new Map(graph.nodes.map((node) => [node, producersOf(node, definitions)]));
  return isSorted(graph.nodes, predecessors) ? graph : { ...graph, nodes: sorted(graph.nodes, predecessors) };
}

function producersOf(node: Node, definitions: ReadonlyMap<string, Node | undefined>): ReadonlySet<Node> {
  const producers = new Set<Node>();
  for (const name of namesRead(node)) {
    if (!definitions.has(name)) throw undefinedValue(name, node);
    const producer = definitions.get(name);
    if (producer !== undefined) producers.add(producer);
  }
  return producers;
}

function isSorted(nodes: readonly Node[], predecessors: ReadonlyMap<Node, ReadonlySet<Node>>): boolean {
  const done = new Set<Node>();
  return nodes.every((node) => {
    const ready = [...entryOf(predecessors, node)].every((producer) => done.has(producer));
    done.add(node);
    return ready;
  });
}

/** Kahn's algorithm. */
function sorted(nodes: readonly Node[], predecessors: ReadonlyMap<Node, ReadonlySet<Node>>): readonly Node[] {
  const waiting = new Map<Node, number>();
  const readers = new Map<Node, Node[]>(nodes.map((node) => [node, []]));
  for (const [node, producers] of predecessors) {
    waiting.set(node, producers.size);
    for (const producer of producers) readers.get(producer)?.push(node);
  }
  const order = nodes.filter((node) => waiting.get(node) === 0);
  for (const node of order) {
    for (const reader of entryOf(readers, node)) {
      const left = entryOf(waiting, reader) - 1;
      waiting.set(reader, left);
      if (left === 0) order.push(reader);
    }
  }
  if (order.length === nodes.length) return order;
  const stuck = nodes.find((node) => entryOf(waiting, node) > 0);
  throw new PenniError("bad-model", "nodes depend on each other in a circle", {
    ...(stuck === undefined ? {} : { node: stuck.name, op: stuck.op }),
  });
}
