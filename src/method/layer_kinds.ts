import { ofInput } from "../graph/operands.js";
import type { Graph, Node } from "../graph/types.js";
import { isDepthwise } from "../layers/weights.js";
import type { LayerCount } from "../measure/count.js";
import { basisSaves, type DecompositionDecision } from "./decompose.js";

/** What can be done about the arithmetic of a layer. */
export type LayerKind =
  /** Its kernels can share a basis, and coefficients can be removed. */
  | "kernels"
  /** A basis would save nothing, but single weights can be removed: 1x1 convolutions above all. */
  | "weights"
  /** It stays as it is. */
  | "fixed";

/** What can be done about a node, given what was decided about its kernels if it is a convolution. */
export function layerKind(graph: Graph, node: Node, decision: DecompositionDecision | undefined): LayerKind {
  if (decision === undefined) return "fixed";
  const { layer } = decision;
  if (layer !== undefined) return basisSaves(layer, 1) ? "kernels" : "weights";
  const weight = ofInput(graph.initializers, node, 1);
  return weight?.type === "float32" && !isDepthwise(node, weight) ? "weights" : "fixed";
}

/** What layers with weights such as this one are called, for people: "depthwise convolutions", "Gemm". */
export function layerFamily({ node, weightDims }: Pick<LayerCount, "node" | "weightDims">): string {
  const isConvolution = node.op === "Conv" && node.domain === "" && weightDims !== undefined;
  if (!isConvolution) return node.op === "Gemm" ? "fully connected layers" : node.op;
  if (isDepthwise(node, { dims: weightDims })) return "depthwise convolutions";
  return `${weightDims.slice(2).join("x")} convolutions`;
}

/** Layers of one kind, and their share of all multiply-accumulates (0 to 1). */
export interface KindShare {
  readonly layers: number;
  readonly share: number;
}

/** Of the layers that multiply, how many are of each kind and what share of the multiply-accumulates is theirs. */
export function kindShares(
  layers: readonly { readonly kind: LayerKind; readonly executedMacs: number }[],
): Readonly<Record<LayerKind, KindShare>> {
  const total = layers.reduce((sum, { executedMacs }) => sum + executedMacs, 0);
  const of = (kind: LayerKind): KindShare => {
    const own = layers.filter((layer) => layer.kind === kind && layer.executedMacs > 0);
    const macs = own.reduce((sum, { executedMacs }) => sum + executedMacs, 0);
    return { layers: own.length, share: total > 0 ? macs / total : 0 };
  };
  return { kernels: of("kernels"), weights: of("weights"), fixed: of("fixed") };
}
