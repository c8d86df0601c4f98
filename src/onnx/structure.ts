import { PenniError } from "../graph/errors.js";
import type { Graph, Node } from "../graph/types.js";

/** Names of values that a node reads, those that its subgraphs capture included. */
function readNames(node: Node): string[] {
  const captured = [...node.attributes.values()].flatMap((attribute) =>
    attribute.kind === "opaque" ? attribute.captures : [],
  );
  return [...node.inputs, ...captured].filter((name) => name !== "");
}

function duplicate(name: string, what: string): PenniError {
  return new PenniError("bad-model", `${what} "${name}" is defined twice`, {
    advice: "The file is damaged or was not written by an ONNX exporter: export it again",
  });
}

/** The first name that occurs twice. */
function firstRepeated(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}

function checkNames(graph: Graph): ReadonlyMap<string, Node | undefined> {
  const definitions = new Map<string, Node | undefined>();
  const define = (name: string, node?: Node): void => {
    if (definitions.has(name)) throw duplicate(name, "value");
    definitions.set(name, node);
  };
  for (const { name } of graph.inputs) define(name);
  for (const name of graph.initializers.keys()) define(name);
  for (const node of graph.nodes) for (const name of node.outputs) if (name !== "") define(name, node);
  const twice = firstRepeated(graph.outputs.map(({ name }) => name));
  if (twice !== undefined) throw duplicate(twice, "output");
  for (const { name } of graph.outputs) {
    if (!definitions.has(name)) throw new PenniError("bad-model", `nothing computes the output "${name}"`);
  }
  return definitions;
}

/** Nodes in topological order; the given order where that already is one. */
function sortNodes(
  nodes: readonly Node[],
  definitions: ReadonlyMap<string, Node | undefined>,
): readonly Node[] {
  const waiting = new Map<Node, number>();
  const readers = new Map<Node, Node[]>();
  for (const node of nodes) {
    const producers = new Set(
      readNames(node).map((name) => {
        if (definitions.has(name)) return definitions.get(name);
        throw new PenniError("bad-model", `nothing computes the input "${name}"`, {
          node: node.name,
          op: node.op,
        });
      }),
    );
    producers.delete(undefined);
    waiting.set(node, producers.size);
    for (const producer of producers) {
      if (producer === undefined) continue;
      const others = readers.get(producer);
      if (others === undefined) readers.set(producer, [node]);
      else others.push(node);
    }
  }
  const sorted: Node[] = nodes.filter((node) => waiting.get(node) === 0);
  for (const node of sorted) {
    for (const reader of readers.get(node) ?? []) {
      const left = (waiting.get(reader) ?? 0) - 1;
      waiting.set(reader, left);
      if (left === 0) sorted.push(reader);
    }
  }
  if (sorted.length === nodes.length) return sorted;
  const stuck = nodes.find((node) => (waiting.get(node) ?? 0) > 0);
  throw new PenniError("bad-model", "nodes depend on each other in a circle", {
    ...(stuck === undefined ? {} : { node: stuck.name, op: stuck.op }),
  });
}

function isSorted(nodes: readonly Node[], definitions: ReadonlyMap<string, Node | undefined>): boolean {
  const done = new Set<Node>();
  return nodes.every((node) => {
    const ready = readNames(node).every((name) => {
      const producer = definitions.get(name);
      return producer === undefined ? definitions.has(name) : done.has(producer);
    });
    done.add(node);
    return ready;
  });
}

/**
 * The graph with its nodes in topological order; unchanged if they already are.
 * @throws PenniError "bad-model" if a name is defined twice, nothing computes a name, or there is a cycle.
 */
export function orderGraph(graph: Graph): Graph {
  const definitions = checkNames(graph);
  if (isSorted(graph.nodes, definitions)) return graph;
  return { ...graph, nodes: sortNodes(graph.nodes, definitions) };
}
