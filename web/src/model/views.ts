import { wasmTarget } from "../../../src/compile/wasm/target.js";
import { readClassNames } from "../../../src/graph/image_metadata.js";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import type { Graph, ValueInfo } from "../../../src/graph/types.js";
import { findDecompositions } from "../../../src/layers/weights.js";
import { countGraph, type GraphCount } from "../../../src/measure/count.js";
import { predictedLatency } from "../../../src/measure/predicted_latency.js";
import { decompositionCandidates } from "../../../src/method/decompose.js";
import { layerName } from "../../../src/method/inspect.js";
import { type KindShare, kindShares, type LayerKind, layerKind } from "../../../src/method/layer_kinds.js";
import { type BasisView, layersOnBases } from "../../../src/report/data/kernel_view.js";
import { type NetworkView, networkView } from "../../../src/report/data/network.js";
import type { Network, PictureInput } from "./network.js";
import { Sliders } from "./sliders.js";

/** What a network costs, for one image. */
export interface Figures {
  /** Paper count. */
  readonly parameters: number;
  /** Paper count. */
  readonly paperMacs: number;
  /** What ONNX Runtime multiplies. */
  readonly executedMacs: number;
  /** Milliseconds of the compiled network by the compiler's cost model. */
  readonly predictedMs: number;
}

/** What is shown of a network as it came. */
export interface NetworkSummary {
  readonly name: string;
  readonly fileBytes: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly rows: NetworkView;
  readonly figures: Figures;
  readonly kinds: Readonly<Record<LayerKind, KindShare>>;
  readonly mostBasis: number;
  readonly hasKernels: boolean;
  /** Undefined where it takes something else than pictures. */
  readonly pictures: PictureInput | undefined;
  readonly classNames: readonly string[] | undefined;
  readonly isDequantized: boolean;
}

/** What has become of a layer. */
export interface LayerState {
  readonly parameters: number;
  readonly macs: number;
  /** Basis kernels; undefined where it has weights of its own. */
  readonly basis: number | undefined;
  /** Coefficients or weights that are not zero, and how many it has. */
  readonly nonZeros: number | undefined;
}

/** What is shown of a network as it was changed. */
export interface VariantSummary {
  readonly figures: Figures;
  /** By the layer's name; layers that are gone are missing. */
  readonly layers: Readonly<Record<string, LayerState>>;
  readonly kernels: readonly BasisView[];
}

function figuresOf(single: Graph, { parameters, paperMacs, executedMacs }: GraphCount): Figures {
  const predictedMs = predictedLatency(single, wasmTarget) / 1e6;
  return { parameters, paperMacs, executedMacs, predictedMs };
}

/** How much of the arithmetic lies in layers of each kind. */
function kindsOf(single: Graph, { layers }: GraphCount): NetworkSummary["kinds"] {
  const decisions = new Map(decompositionCandidates(single).map((decision) => [decision.conv, decision]));
  return kindShares(
    layers.map(({ node, executedMacs }) => ({
      kind: layerKind(single, node, decisions.get(node)),
      executedMacs,
    })),
  );
}

export function summarize(name: string, network: Network, sliders: Sliders): NetworkSummary {
  const { graph, fileBytes, pictures, isDequantized } = network;
  const single = fixBatch(graph, 1);
  const count = countGraph(single);
  return {
    name,
    fileBytes,
    inputs: graph.inputs.map(describeValue),
    outputs: graph.outputs.map(describeValue),
    rows: networkView(graph, undefined),
    figures: figuresOf(single, count),
    kinds: kindsOf(single, count),
    mostBasis: sliders.most,
    hasKernels: sliders.hasKernels,
    pictures,
    classNames: readClassNames(graph.metadata),
    isDequantized,
  };
}

function describeValue({ name, type }: ValueInfo): string {
  const dims = type?.shape?.map((dim) => dim ?? "?").join(" \u00d7 ") ?? "?";
  return `${name}: ${type?.elementType ?? "?"} ${dims}`;
}

export function summarizeVariant(graph: Graph): VariantSummary {
  const single = fixBatch(graph, 1);
  const count = countGraph(single);
  const bases = new Map(findDecompositions(single).map(({ conv, d }) => [conv, d]));
  const layers = Object.fromEntries(
    count.layers.map(({ node, parameters, paperMacs, sparse }): [string, LayerState] => [
      layerName(node),
      { parameters, macs: paperMacs, basis: bases.get(node), nonZeros: sparse?.nonZeros },
    ]),
  );
  return {
    figures: figuresOf(single, count),
    layers,
    kernels: layersOnBases(single).map(({ view }) => view),
  };
}

/** @see Sliders */
export const slidersOf = (network: Network): Sliders => new Sliders(network.dense);
