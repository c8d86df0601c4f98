import { inputOf } from "../../graph/at.js";
import { linkGraph } from "../../graph/links.js";
import { firstOf, ofInput } from "../../graph/operands.js";
import { float32Data } from "../../graph/tensor.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";
import { type Decomposition, findDecomposition } from "../../layers/decomposition.js";
import { groupCount } from "../../layers/groups.js";
import { findOp } from "../../ops/inference/registry.js";

/** Size of one layer as it stands. */
export interface LayerChannels {
  readonly node: Node;
  /** Name of its initializer: weight, or coefficients. */
  readonly weight: string;
  readonly groups: number;
  /** Axis of the weight along which the outputs run; the inputs run along the other one of axes 0 and 1. */
  readonly outputAxis: 0 | 1;
  /** Channels (features) in and out. */
  readonly inputs: number;
  readonly outputs: number;
  /** Decomposed layers: kernels in the basis, and how many (channel, basis kernel) pairs any output still uses. */
  readonly basis?: number;
  readonly pairs?: { readonly total: number; readonly live: number };
}

/**
 * Channels of every Conv, ConvTranspose and Gemm/MatMul with a constant weight, in the graph's order. A layer keeps its
 * output value's name when the graph is shrunk, so two lists can be compared by `node.outputs[0]`.
 */
export function layerChannels(
  graph: Graph,
  known: ReadonlyMap<Node, Decomposition> = new Map(),
): readonly LayerChannels[] {
  const links = linkGraph(graph);
  return graph.nodes.flatMap((node) => {
    const decomposition = known.get(node) ?? findDecomposition(links, node);
    const layer = decomposition === undefined ? weightedLayer(graph, node) : decomposedLayer(decomposition);
    return layer === undefined ? [] : [{ node, ...layer }];
  });
}

function decomposedLayer({ conv, dims, coefs }: Decomposition): Omit<LayerChannels, "node"> {
  const { outputs, inputs, basis } = dims;
  const groups = groupCount(conv);
  const total = groups * inputs * basis;
  return {
    weight: coefs.name,
    groups,
    outputAxis: 0,
    inputs: groups * inputs,
    outputs,
    basis,
    pairs: { total, live: livePairs(coefs.tensor, groups).reduce((sum, flag) => sum + flag, 0) },
  };
}

/**
 * Which (channel, basis kernel) pairs of coefficients [K, C / groups, d] any output uses: 1 or 0, as [C, d]
 * row-major. The others need not be computed.
 */
export function livePairs(coefs: Tensor, groups: number): Uint8Array {
  const [outputs, perGroup, basis] = firstOf(coefs.dims, 3);
  const columns = perGroup * basis;
  const groupSize = (outputs / groups) * columns;
  const used = new Uint8Array(columns * groups);
  float32Data(coefs).forEach((value, at) => {
    if (value !== 0) used[Math.floor(at / groupSize) * columns + (at % columns)] = 1;
  });
  return used;
}

function weightedLayer(graph: Graph, node: Node): Omit<LayerChannels, "node"> | undefined {
  if (node.domain !== "" || ofInput(graph.initializers, node, 0) !== undefined) return undefined;
  const tensor = ofInput(graph.initializers, node, 1);
  const layout = findOp(node)?.weight;
  if (tensor === undefined || layout === undefined || tensor.dims.length < 2) return undefined;
  const [first, second] = firstOf(tensor.dims, 2);
  const groups = layout.groups(node);
  const outputAxis = layout.outputAxis(node);
  const [inputs, outputs] = outputAxis === 0 ? [second * groups, first] : [first, second * groups];
  return { weight: inputOf(node, 1), groups, outputAxis, inputs, outputs };
}
