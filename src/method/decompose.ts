import { freshNames, usedNames } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import { float32Data, float32Tensor, int64Tensor } from "../graph/tensor.js";
import type { Graph, Node, Tensor } from "../graph/types.js";
import { convolutions, type DenseLayer, denseLayer, findDecompositions } from "../ops/weights.js";
import { factorise } from "./basis.js";

/** A convolution that has something to decompose, or the reason why it is left as it is. */
export type DecompositionDecision =
  | { readonly conv: Node; readonly layer: DenseLayer }
  | { readonly conv: Node; readonly layer?: never; readonly reason: string };

function decide(graph: Graph, conv: Node, decomposed: ReadonlySet<Node>): DenseLayer | string {
  if (decomposed.has(conv)) return "it is decomposed already";
  const layer = denseLayer(graph, conv);
  if (typeof layer === "string") return layer;
  if (layer.groups !== 1) {
    return layer.C === 1
      ? "a depthwise convolution has one kernel per channel"
      : "it is a grouped convolution";
  }
  return layer.R * layer.S === 1 ? "a 1x1 convolution has no kernel to share: it is pruned instead" : layer;
}

/** For every convolution, in the graph's order: whether it can share a basis, and why not. */
export function decompositionCandidates(graph: Graph): readonly DecompositionDecision[] {
  const decomposed = new Set(findDecompositions(graph).map((layer) => layer.conv));
  return convolutions(graph).map((conv) => {
    const decision = decide(graph, conv, decomposed);
    return typeof decision === "string" ? { conv, reason: decision } : { conv, layer: decision };
  });
}

/** The largest basis that still saves something in this layer: less than R*S, at most the rank. */
function fits(layer: DenseLayer, d: number): boolean {
  return d < layer.R * layer.S && d <= layer.K * layer.C;
}

interface Decomposition {
  readonly nodes: readonly Node[];
  readonly output: string;
  readonly initializers: readonly (readonly [string, Tensor])[];
}

function decomposeWeight(
  weight: Tensor,
  layer: DenseLayer,
  d: number,
  fresh: (stem: string) => string,
): Decomposition {
  const { K, C, R, S } = layer;
  const factors = factorise(float32Data(weight), R * S, d);
  const [coefs, basis, shape] = [".coefs", ".basis", ".shape"].map((suffix) =>
    fresh(layer.weight + suffix),
  ) as [string, string, string];
  const product = fresh(`${layer.weight}.product`);
  const output = fresh(`${layer.weight}.merged`);
  const node = (op: string, inputs: readonly string[], name: string): Node => ({
    name: fresh(`${name}/${op}`),
    op,
    domain: "",
    inputs,
    outputs: [name],
    attributes: new Map(),
  });
  return {
    nodes: [node("MatMul", [coefs, basis], product), node("Reshape", [product, shape], output)],
    output,
    initializers: [
      [coefs, float32Tensor([K, C, d], factors.coefs)],
      [basis, float32Tensor([d, R * S], factors.basis)],
      [shape, int64Tensor([4], [K, C, R, S])],
    ],
  };
}

function checkBasis(d: number): void {
  if (Number.isInteger(d) && d >= 1) return;
  throw new PenniError("bad-option", "the basis must have at least one kernel", {
    expected: "a whole number from 1",
    found: `${d}`,
    advice: "The paper uses 5 for 3x3 kernels",
  });
}

/**
 * Gives every convolution with weight W [K, C, R, S], R*S > 1 and group 1, its own basis of `basis` shared
 * kernels (PENNI, section 3.1): the uncentred SVD W = U S V' of the (K*C) x (R*S) matrix of kernels, basis =
 * the top rows of V' (orthonormal), coefs = U S. In the graph: `Conv(x, Reshape(MatMul(coefs, basis), shape))`
 * with initializers `WEIGHT.coefs` [K, C, d], `WEIGHT.basis` [d, R*S] and `WEIGHT.shape`. A weight that
 * several convolutions share is decomposed once. Layers where d kernels are no fewer than R*S stay as they are.
 * @throws PenniError "bad-option" unless `basis` is a whole number from 1.
 */
export function decompose(graph: Graph, options: { readonly basis: number }): Graph {
  const d = options.basis;
  checkBasis(d);
  const layers = new Map<Node, DenseLayer>();
  for (const { conv, layer } of decompositionCandidates(graph)) {
    if (layer !== undefined && fits(layer, d)) layers.set(conv, layer);
  }
  const fresh = freshNames(usedNames(graph));
  const byWeight = new Map<string, Decomposition>();
  const nodes = graph.nodes.flatMap((node) => {
    const layer = layers.get(node);
    const weight = graph.initializers.get(layer?.weight ?? "");
    if (layer === undefined || weight === undefined) return [node];
    const known = byWeight.get(layer.weight);
    const decomposition = known ?? decomposeWeight(weight, layer, d, fresh);
    byWeight.set(layer.weight, decomposition);
    const inputs = node.inputs.map((input, index) => (index === 1 ? decomposition.output : input));
    return [...(known === undefined ? decomposition.nodes : []), { ...node, inputs }];
  });
  const added = [...byWeight.values()].flatMap((decomposition) => decomposition.initializers);
  const initializers = new Map([...graph.initializers, ...added]);
  return removeDeadNodes({ ...graph, nodes, initializers });
}
