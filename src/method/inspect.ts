import { entryOf } from "../graph/at.js";
import { outputOrOmitted } from "../graph/operands.js";
import { float32Data } from "../graph/tensor.js";
import type { Graph, Node } from "../graph/types.js";
import { type DecomposedLayer, type DenseLayer, findDecompositions } from "../layers/weights.js";
import { countGraph, type GraphCount, type LayerCount } from "../measure/count.js";
import { findOp } from "../ops/inference/registry.js";
import { spectrum } from "./basis.js";
import { basisSaves, decompositionCandidates } from "./decompose.js";
import { type LayerKind, layerFamily, layerKind } from "./layer_kinds.js";

/** A basis size and what it would cost. */
export interface BasisChoice {
  readonly d: number;
  /** Paper-count MACs of the layer with this basis, before anything is pruned; those it has now if d = R*S. */
  readonly paperMacs: number;
}

/** One layer as `penni inspect` shows it. */
export interface InspectedLayer {
  readonly name: string;
  readonly op: string;
  readonly weightDims: readonly number[] | undefined;
  readonly parameters: number;
  readonly paperMacs: number;
  readonly executedMacs: number;
  /** Share of the kernels' squared norm in the d largest singular values, d = 1, 2, ..., R*S; from 0 to 1. */
  readonly energy: readonly number[] | undefined;
  /** The smallest basis that keeps 99 % of that energy; with d = R*S the layer is best left as it is. */
  readonly basisChoice: BasisChoice | undefined;
  /** Of a layer that is decomposed already: the size of its basis and the share of non-zero coefficients. */
  readonly decomposed: { readonly d: number; readonly density: number } | undefined;
  /** What such layers are called: "3x3 convolutions". */
  readonly family: string;
  /** What can be done about its arithmetic. */
  readonly kind: LayerKind;
  /** Why the layer's kernels cannot share a basis; undefined where they can, or are no kernels. */
  readonly reason: string | undefined;
}

export interface Inspection {
  readonly layers: readonly InspectedLayer[];
  readonly parameters: number;
  readonly paperMacs: number;
  readonly executedMacs: number;
  readonly convolutions: number;
  /** Operators whose arithmetic is not counted because Penni does not know them, with their nodes' names. */
  readonly uncounted: readonly { readonly op: string; readonly name: string }[];
}

/** Kernels with more taps than this are shown without a spectrum: its cost grows with the cube of R*S. */
const LARGEST_SPECTRUM = 256;

const ENERGY_KEPT = 0.99;

function energyKept(graph: Graph, layer: DenseLayer): readonly number[] | undefined {
  const taps = layer.R * layer.S;
  if (taps > LARGEST_SPECTRUM) return undefined;
  const weight = entryOf(graph.initializers, layer.weight);
  const squares = spectrum(float32Data(weight), taps).values.map((value) => value ** 2);
  const total = squares.reduce((sum, square) => sum + square, 0);
  let kept = 0;
  return squares.map((square) => {
    kept += square;
    return total === 0 ? 1 : kept / total;
  });
}

function cheapestBasis(
  layer: DenseLayer,
  energy: readonly number[] | undefined,
  { sparse, paperMacs }: LayerCount,
): BasisChoice | undefined {
  const { K, C, R, S, groups } = layer;
  if (energy === undefined || sparse === undefined) return undefined;
  const d = energy.findIndex((share) => share >= ENERGY_KEPT) + 1;
  if (d === 0) return undefined;
  if (!basisSaves(layer, d, sparse.nonZeros)) return { d: R * S, paperMacs };
  return { d, paperMacs: sparse.positions * C * d * (R * S * groups + K) };
}

function decomposedState(
  layer: DecomposedLayer | undefined,
  count: LayerCount,
): InspectedLayer["decomposed"] {
  if (layer === undefined || count.sparse === undefined) return undefined;
  return { d: layer.d, density: count.sparse.nonZeros / (layer.K * layer.C * layer.d) };
}

/** A layer's name for people: the node's, or that of its output where the node has none. */
export function layerName(node: Node): string {
  return node.name === "" ? outputOrOmitted(node, 0) : node.name;
}

/**
 * What Penni would find in a graph whose input dimensions are fixed: each layer's cost, the singular-value
 * energy of its kernels, and what cannot be compressed and why.
 * @throws PenniError as `countGraph` does.
 */
export function inspectGraph(graph: Graph): Inspection {
  const count: GraphCount = countGraph(graph);
  const decisions = new Map(decompositionCandidates(graph).map((decision) => [decision.conv, decision]));
  const decompositions = new Map(findDecompositions(graph).map((layer) => [layer.conv, layer]));
  const layers = count.layers.map((layer): InspectedLayer => {
    const { node, weightDims, parameters, paperMacs, executedMacs } = layer;
    const decision = decisions.get(node);
    const dense = decision?.layer;
    const energy = dense === undefined ? undefined : energyKept(graph, dense);
    return {
      name: layerName(node),
      op: node.op,
      weightDims,
      parameters,
      paperMacs,
      executedMacs,
      energy,
      basisChoice: dense === undefined ? undefined : cheapestBasis(dense, energy, layer),
      decomposed: decomposedState(decompositions.get(node), layer),
      family: layerFamily(layer),
      kind: decompositions.has(node) ? "kernels" : layerKind(graph, node, decision),
      reason: decision?.layer === undefined ? (decision?.reason ?? findOp(node)?.weight?.noBasis) : undefined,
    };
  });
  return {
    layers,
    parameters: count.parameters,
    paperMacs: count.paperMacs,
    executedMacs: count.executedMacs,
    convolutions: decisions.size,
    uncounted: count.uncounted.map((node) => ({ op: node.op, name: layerName(node) })),
  };
}
