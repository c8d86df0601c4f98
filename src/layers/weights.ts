import { inputOf } from "../graph/at.js";
import { linkGraph } from "../graph/links.js";
import { ofInput } from "../graph/operands.js";
import type { Graph, Node, Tensor } from "../graph/types.js";
import { findDecomposition } from "./decomposition.js";
import { groupCount } from "./groups.js";

/** A convolution whose weight is a float32 initializer [K, C, R, S]; C counts the inputs of one group. */
export interface DenseLayer {
  readonly conv: Node;
  /** Name of the initializer. */
  readonly weight: string;
  readonly K: number;
  readonly C: number;
  readonly R: number;
  readonly S: number;
  readonly groups: number;
}

/**
 * A convolution whose weight is Reshape(MatMul(coefs [K, C, d], basis [d, R*S]), [K, C, R, S]); C counts the inputs
 * of one group.
 */
export interface DecomposedLayer {
  readonly conv: Node;
  /** Name of the float32 initializer [K, C, d]. */
  readonly coefs: string;
  /** Name of the float32 initializer [d, R*S]. */
  readonly basis: string;
  readonly K: number;
  readonly C: number;
  readonly R: number;
  readonly S: number;
  readonly d: number;
  readonly groups: number;
}

/** The Conv nodes of a graph, in its order. */
export function convolutions(graph: Graph): readonly Node[] {
  return graph.nodes.filter(
    (node) => node.op === "Conv" && (node.domain === "" || node.domain === "ai.onnx"),
  );
}

/** The layer of a Conv node whose weight is a two-dimensional float32 initializer, or why it is none. */
export function denseLayer(graph: Graph, conv: Node): DenseLayer | string {
  const tensor = ofInput(graph.initializers, conv, 1);
  if (tensor === undefined) return "its weight is not a constant";
  if (tensor.type !== "float32") return `its weight is ${tensor.type}, not float32`;
  const [K, C, R, S, ...more] = tensor.dims;
  if (K === undefined || C === undefined || R === undefined || S === undefined || more.length > 0) {
    return "it is not a two-dimensional convolution";
  }
  return { conv, weight: inputOf(conv, 1), K, C, R, S, groups: groupCount(conv) };
}

/** Whether each input channel has kernels of its own: group > 1 and a weight [K, 1, ...]. */
export function isDepthwise(conv: Node, weight: Pick<Tensor, "dims">): boolean {
  return groupCount(conv) > 1 && weight.dims[1] === 1;
}

/** A dense convolution weight whose zeros save arithmetic, one product at each output position. */
export interface PrunableWeight {
  readonly weight: string;
  /** [K, C, ...kernel]. */
  readonly dims: readonly number[];
}

/**
 * The float32 weight of a convolution that is not decomposed and can be pruned directly: any but a depthwise one,
 * whose few weights are worth more than they cost. Undefined for all others.
 */
export function prunableWeight(graph: Graph, conv: Node): PrunableWeight | undefined {
  const tensor = ofInput(graph.initializers, conv, 1);
  if (tensor?.type !== "float32" || isDepthwise(conv, tensor)) return undefined;
  return { weight: inputOf(conv, 1), dims: tensor.dims };
}

/** All decomposed convolutions, in the graph's order. */
export function findDecompositions(graph: Graph): readonly DecomposedLayer[] {
  const links = linkGraph(graph);
  return convolutions(graph).flatMap((conv) => {
    const found = findDecomposition(links, conv);
    if (found === undefined) return [];
    const [R, S, ...more] = found.dims.kernel;
    if (R === undefined || S === undefined || more.length > 0) return [];
    const { outputs: K, inputs: C, basis: d } = found.dims;
    const groups = groupCount(conv);
    return [{ conv, coefs: found.coefs.name, basis: found.basis.name, K, C, R, S, d, groups }];
  });
}
