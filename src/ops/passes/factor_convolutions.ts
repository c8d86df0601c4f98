import { inputOf } from "../../graph/at.js";
import { ints } from "../../graph/attributes.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import type { Graph, Node } from "../../graph/types.js";
import { type DecomposedLayer, findDecompositions } from "../../layers/weights.js";
import { PENNI_DOMAIN } from "../core/composite.js";

/**
 * What one pass over a channel's map costs, in multiply-accumulates per element: between the values at which either
 * form was faster on the blocked layout (`bench/factored.ts`), where a pass is bound by memory.
 */
const PASS_COST = 27;

/** The products that a layer costs merged, per position and pair of channels. */
type MergedCost = (layer: DecomposedLayer) => number;

/**
 * Decomposed convolutions as FactoredConv composites, where that makes a training step cheaper.
 *
 * @param isTrained whether the step needs the gradient of an initializer
 * @param mergedCost default: the taps of the layer's kernels
 */
export function factorConvolutions(
  graph: Graph,
  isTrained: (name: string) => boolean,
  mergedCost: MergedCost = ({ R, S }) => R * S,
): Graph {
  const factored = new Map<Node, Node>();
  for (const layer of findDecompositions(graph)) {
    if (layer.groups === 1 && isCheaperFactored(layer, mergedCost(layer), isTrained)) {
      factored.set(layer.conv, factoredNode(layer));
    }
  }
  if (factored.size === 0) return graph;
  return removeDeadNodes({ ...graph, nodes: graph.nodes.map((node) => factored.get(node) ?? node) });
}

/**
 * Per position a product costs m·C·K merged (m is R·S, or less where the merged convolution is not done directly), and
 * d·C·K factored with, for each basis kernel, a pass over the C maps and one over the K sums. The forward product and the
 * input's gradient are either; the gradient of coefficients is about the same in both forms; that of a basis alone needs
 * a product with dy merged, and next to nothing factored.
 */
function isCheaperFactored(
  { K, C, d, coefs, basis }: DecomposedLayer,
  merged: number,
  isTrained: (name: string) => boolean,
): boolean {
  const isBasisAlone = isTrained(basis) && !isTrained(coefs);
  const saved = 2 * (merged - d) + (isBasisAlone ? merged : 0);
  return saved * C * K > 2 * d * (C + K) * PASS_COST;
}

function factoredNode({ conv, coefs, basis, R, S }: DecomposedLayer): Node {
  const x = inputOf(conv, 0);
  const bias = conv.inputs[2];
  return {
    ...conv,
    op: "FactoredConv",
    domain: PENNI_DOMAIN,
    inputs: bias === undefined ? [x, coefs, basis] : [x, coefs, basis, bias],
    attributes: new Map([...conv.attributes, ["kernel_shape", ints([R, S])]]),
  };
}
