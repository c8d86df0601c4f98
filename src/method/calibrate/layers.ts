import { entryOf } from "../../graph/at.js";
import { type GraphLinks, linkGraph } from "../../graph/links.js";
import { float32Data } from "../../graph/tensor.js";
import type { Graph, Node } from "../../graph/types.js";
import { convolutions, type DenseLayer, denseLayer, isDepthwise } from "../../layers/weights.js";
import { basisSaves, decompositionCandidates } from "../decompose.js";
import { channelScales } from "./normalization.js";

/** How a layer's weights may be thinned out. */
export type Sparsity =
  /** Decomposed over a basis, coefficients removed. */
  | "basis"
  /** No kernels to share: weights removed. */
  | "weights"
  /** As it is, but fitted to what its predecessors have become. */
  | "none";

/** A weight of the network and the convolutions that use it. */
export interface CalibrationLayer extends Pick<DenseLayer, "K" | "C" | "R" | "S" | "groups" | "weight"> {
  /** The convolutions with this weight, in the graph's order: nearly always one. */
  readonly convs: readonly Node[];
  readonly sparsity: Sparsity;
  /** How much the squared error of each output counts: what comes after may scale channels differently. */
  readonly importance: Float64Array;
  /** float32 [K, C, R, S]: what the weight was. */
  readonly original: Float32Array;
}

/** The layers that calibration can fit, in the graph's order. Others stay as they are. */
export function calibrationLayers(graph: Graph): readonly CalibrationLayer[] {
  const links = linkGraph(graph);
  const decomposable = new Set(
    decompositionCandidates(graph).flatMap(({ conv, layer }) => (layer === undefined ? [] : [conv])),
  );
  const byWeight = new Map<string, { readonly layer: DenseLayer; readonly convs: Node[] }>();
  for (const conv of convolutions(graph)) {
    const layer = denseLayer(graph, conv);
    if (typeof layer === "string") continue;
    const known = byWeight.get(layer.weight);
    if (known === undefined) byWeight.set(layer.weight, { layer, convs: [conv] });
    else known.convs.push(conv);
  }
  return [...byWeight.values()].flatMap(({ layer, convs }) => {
    if (!readOnlyBy(links, layer.weight, convs)) return [];
    const tensor = entryOf(graph.initializers, layer.weight);
    const sparsity = isDepthwise(layer.conv, tensor)
      ? "none"
      : convs.every((conv) => decomposable.has(conv)) && basisSaves(layer, 1)
        ? "basis"
        : "weights";
    const importance = channelScales(links, layer.conv, layer.K).map((scale) => scale * scale);
    return [{ ...layer, convs, sparsity, importance, original: float32Data(tensor) }];
  });
}

function readOnlyBy(links: GraphLinks, weight: string, convs: readonly Node[]): boolean {
  const readers = entryOf(links.readers, weight);
  return !links.outputNames.has(weight) && readers.every((reader) => convs.includes(reader));
}
