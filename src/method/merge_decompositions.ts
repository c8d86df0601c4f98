import { freshNames, usedNames } from "../graph/edit.js";
import { linkGraph } from "../graph/links.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import { float32Data, float32Tensor } from "../graph/tensor.js";
import type { Graph, Node, Tensor } from "../graph/types.js";
import { findDecomposition, mergeFactors } from "../layers/decomposition.js";
import { convolutions } from "../layers/weights.js";
import type { Factors } from "./basis.js";

/** A network whose decomposed layers have dense kernels, and what these kernels are made of. */
export interface MergedNetwork {
  readonly graph: Graph;
  /** By the name of the layer's weight. */
  readonly factors: ReadonlyMap<string, Factors>;
}

/** What names of coefficients end with, as `decompose` gives them. */
const COEFFICIENTS = /\.coefs$/;

/**
 * Gives decomposed convolutions dense kernels in place of Reshape(MatMul(coefs, basis)), so that a layer is a layer
 * however it came in. Expressions that others read as well stay as they are. `withFactors` is the way back.
 */
export function mergeDecompositions(graph: Graph): MergedNetwork {
  const links = linkGraph(graph);
  const fresh = freshNames(usedNames(graph));
  const factors = new Map<string, Factors>();
  const weights: [string, Tensor][] = [];
  const merged = new Map<Node, Node>();
  for (const conv of convolutions(graph)) {
    const found = findDecomposition(links, conv);
    if (found === undefined || found.shared || found.dims.kernel.length !== 2) continue;
    const { outputs, inputs, kernel } = found.dims;
    const [coefs, basis] = [float32Data(found.coefs.tensor), float32Data(found.basis.tensor)];
    const weight = fresh(found.coefs.name.replace(COEFFICIENTS, ""));
    const kernels = mergeFactors(
      coefs,
      basis,
      kernel.reduce((product, size) => product * size, 1),
    );
    factors.set(weight, { coefs, basis });
    weights.push([weight, float32Tensor([outputs, inputs, ...kernel], kernels)]);
    merged.set(conv, { ...conv, inputs: conv.inputs.with(1, weight) });
  }
  if (merged.size === 0) return { graph, factors };
  const nodes = graph.nodes.map((node) => merged.get(node) ?? node);
  const initializers = new Map([...graph.initializers, ...weights]);
  return { graph: removeDeadNodes({ ...graph, nodes, initializers }), factors };
}
