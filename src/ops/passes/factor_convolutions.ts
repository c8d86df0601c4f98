import { ints } from "../../graph/attributes.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import type { Graph, Node } from "../../graph/types.js";
import { PENNI_DOMAIN } from "../composite.js";
import { type DecomposedLayer, findDecompositions } from "../weights.js";

/**
 * What one pass over a channel's map costs, in multiply-accumulates per element: measured on the blocked layout
 * (`bench/factored.ts`), where a pass is bound by memory.
 */
const PASS_COST = 30;

/** Decomposed convolutions whose maps are cheaper than what their products save, as FactoredConv composites. */
export function factorConvolutions(graph: Graph): Graph {
  const factored = new Map<Node, Node>();
  for (const layer of findDecompositions(graph)) {
    if (layer.groups === 1 && isCheaperFactored(layer)) factored.set(layer.conv, factoredNode(layer));
  }
  if (factored.size === 0) return graph;
  return removeDeadNodes({ ...graph, nodes: graph.nodes.map((node) => factored.get(node) ?? node) });
}

/**
 * Per position the merged form needs R·S·C·K products; the factored one d·C·K, and for each basis kernel a pass
 * over the C maps and one over the K sums.
 */
function isCheaperFactored({ K, C, R, S, d }: DecomposedLayer): boolean {
  return (R * S - d) * C * K > d * (C + K) * PASS_COST;
}

function factoredNode({ conv, coefs, basis, R, S }: DecomposedLayer): Node {
  const [x = "", , bias] = conv.inputs;
  return {
    ...conv,
    op: "FactoredConv",
    domain: PENNI_DOMAIN,
    inputs: bias === undefined ? [x, coefs, basis] : [x, coefs, basis, bias],
    attributes: new Map([...conv.attributes, ["kernel_shape", ints([R, S])]]),
  };
}
