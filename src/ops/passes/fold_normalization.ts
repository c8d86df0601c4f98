import { outputOf } from "../../graph/at.js";
import { linkGraph } from "../../graph/links.js";
import { ofInput } from "../../graph/operands.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import type { Graph, Node } from "../../graph/types.js";
import { type Decomposition, findDecomposition } from "../../layers/decomposition.js";
import { convolutions } from "../../layers/weights.js";
import { foldBatchNormalization } from "./fold_batch_normalization.js";

/**
 * Folds BatchNormalization as `foldBatchNormalization` does, also into decomposed convolutions: a kernel's
 * scale goes into its coefficients, coefs[k, c, b] * s[k], so zeros stay zero and the basis stays as it is.
 * A decomposed weight that several convolutions share is left alone.
 */
export function foldNormalization(graph: Graph): Graph {
  const links = linkGraph(graph);
  const found = new Map<Node, Decomposition>();
  for (const conv of convolutions(graph)) {
    const decomposition = findDecomposition(links, conv);
    if (decomposition !== undefined && !decomposition.shared) found.set(conv, decomposition);
  }
  // For folding, coefs [K, C, d] are as good as a weight [K, C, R, S]: both are scaled row by row.
  const folded = foldBatchNormalization(withCoefficients(graph, found));
  const parts = [...found.values()];
  const byCoefs = new Map(parts.map((part) => [part.coefs.name, part]));
  const restored = folded.nodes.flatMap((node): readonly Node[] => {
    const part = node.op === "Conv" ? ofInput(byCoefs, node, 1) : undefined;
    if (part === undefined) return [node];
    return [part.matmul, part.reshape, withWeight(node, outputOf(part.reshape, 0))];
  });
  const kept = parts.flatMap(({ basis, shape }) => [basis.name, shape]);
  const initializers = new Map(folded.initializers);
  for (const name of kept) {
    const tensor = graph.initializers.get(name);
    if (tensor !== undefined) initializers.set(name, tensor);
  }
  return removeDeadNodes({ ...folded, nodes: restored, initializers });
}

function withWeight(conv: Node, weight: string): Node {
  return { ...conv, inputs: conv.inputs.with(1, weight) };
}

/** The graph with each of these convolutions reading its coefficients in place of its weight. */
function withCoefficients(graph: Graph, found: ReadonlyMap<Node, Decomposition>): Graph {
  const makers = new Set([...found.values()].flatMap(({ matmul, reshape }) => [matmul, reshape]));
  const nodes = graph.nodes
    .filter((node) => !makers.has(node))
    .map((node) => {
      const decomposition = found.get(node);
      return decomposition === undefined ? node : withWeight(node, decomposition.coefs.name);
    });
  return { ...graph, nodes };
}
