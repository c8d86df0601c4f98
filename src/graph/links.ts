import { orDefault } from "./at.js";
import { ofLatest } from "./of_latest.js";
import { pushTo } from "./push_to.js";
import type { Graph, InnerNode, Node } from "./types.js";

/** Who writes and who reads each value of a graph. */
export interface GraphLinks {
  readonly graph: Graph;
  /** The node that computes a value; absent for graph inputs and initializers. */
  readonly producers: ReadonlyMap<string, Node>;
  /** The nodes that read a value, once per input that names it; subgraph captures count. */
  readonly readers: ReadonlyMap<string, readonly Node[]>;
  readonly outputNames: ReadonlySet<string>;
}

/** Names that the subgraphs of a node (If, Loop, Scan) read from outside. */
export function capturedNames(node: Node): readonly string[] {
  if (node.attributes.size === 0) return [];
  return [...node.attributes.values()].flatMap((attribute) =>
    attribute.kind === "opaque" ? attribute.captures : [],
  );
}

/** The nodes inside the subgraphs of a node, at any depth. */
export function innerNodes(node: Node): readonly InnerNode[] {
  return [...node.attributes.values()].flatMap((attribute) =>
    attribute.kind === "opaque" ? orDefault(attribute.inner, []) : [],
  );
}

/** Indexes a graph by value name. */
export const linkGraph: (graph: Graph) => GraphLinks = ofLatest(indexed);

function indexed(graph: Graph): GraphLinks {
  const producers = new Map<string, Node>();
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of node.outputs) if (name !== "") producers.set(name, node);
    for (const name of [...node.inputs, ...capturedNames(node)]) {
      if (name === "") continue;
      pushTo(readers, name, node);
    }
  }
  return { graph, producers, readers, outputNames: new Set(graph.outputs.map((output) => output.name)) };
}
