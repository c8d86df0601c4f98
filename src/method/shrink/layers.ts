import { linkGraph } from "../../graph/links.js";
import { float32Data } from "../../graph/tensor.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";
import { type Decomposition, findDecomposition } from "../../ops/decomposition.js";

/** Size of one layer as it stands. */
export interface LayerChannels {
  readonly node: Node;
  /** Channels (features) in and out. */
  readonly inputs: number;
  readonly outputs: number;
  /** Decomposed layers: kernels in the basis, and how many (channel, basis kernel) pairs any output still uses. */
  readonly basis?: number;
  readonly pairs?: { readonly total: number; readonly live: number };
}

/**
 * Channels of every Conv and Gemm/MatMul with a constant weight, in the graph's order. A layer keeps its output value's
 * name when the graph is shrunk, so two lists can be compared by `node.outputs[0]`.
 */
export function layerChannels(
  graph: Graph,
  known: ReadonlyMap<Node, Decomposition> = new Map(),
): readonly LayerChannels[] {
  const links = linkGraph(graph);
  return graph.nodes.flatMap((node) => {
    const decomposition = known.get(node) ?? findDecomposition(links, node);
    const layer = decomposition === undefined ? denseLayer(graph, node) : decomposedLayer(decomposition);
    return layer === undefined ? [] : [{ node, ...layer }];
  });
}

function decomposedLayer({ dims, coefs }: Decomposition): Omit<LayerChannels, "node"> {
  const { outputs, inputs, basis } = dims;
  return {
    inputs,
    outputs,
    basis,
    pairs: { total: inputs * basis, live: livePairs(coefs.tensor, inputs * basis) },
  };
}

/** Columns of coefs [K, C * d] that are not zero throughout. */
function livePairs(coefs: Tensor, columns: number): number {
  const used = new Uint8Array(columns);
  float32Data(coefs).forEach((value, at) => {
    if (value !== 0) used[at % columns] = 1;
  });
  return used.reduce((sum, flag) => sum + flag, 0);
}

function denseLayer(graph: Graph, node: Node): Omit<LayerChannels, "node"> | undefined {
  if (graph.initializers.has(node.inputs[0] ?? "")) return undefined;
  const dims = graph.initializers.get(node.inputs[1] ?? "")?.dims;
  const [first, second] = dims ?? [];
  if (first === undefined || second === undefined) return undefined;
  if (node.op === "Conv") {
    const group = node.attributes.get("group");
    return { inputs: second * (group?.kind === "int" ? Number(group.value) : 1), outputs: first };
  }
  if (node.op !== "Gemm" && node.op !== "MatMul") return undefined;
  const transposed = node.attributes.get("transB");
  const flipped = transposed?.kind === "int" && transposed.value !== 0n;
  return flipped ? { inputs: second, outputs: first } : { inputs: first, outputs: second };
}
