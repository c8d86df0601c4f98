import { linkGraph } from "../../graph/links.js";
import type { Graph, Node } from "../../graph/types.js";
import { Silu } from "../composites/silu.js";
import { PENNI_DOMAIN } from "../core/composite.js";

/** Mul(x, Sigmoid(x)) as the Silu composite, where nothing else reads the sigmoid. */
export function fuseSilu(graph: Graph): Graph {
  const { producers, readers, outputNames } = linkGraph(graph);
  const fused = new Map<Node, readonly Node[]>();
  for (const node of graph.nodes) {
    if (node.op !== "Mul" || node.domain !== "") continue;
    for (const [x, gate] of [node.inputs, node.inputs.toReversed()]) {
      if (x === undefined || gate === undefined) continue;
      const sigmoid = producers.get(gate);
      const isOwn = readers.get(gate)?.length === 1 && !outputNames.has(gate);
      if (sigmoid?.op !== "Sigmoid" || sigmoid.domain !== "" || sigmoid.inputs[0] !== x || !isOwn) continue;
      fused.set(sigmoid, []);
      fused.set(node, [{ ...node, op: Silu.type, domain: PENNI_DOMAIN, inputs: [x] }]);
    }
  }
  return fused.size === 0
    ? graph
    : { ...graph, nodes: graph.nodes.flatMap((node) => fused.get(node) ?? [node]) };
}
