import { entryOf, inputOf } from "../../graph/at.js";
import { countNonZeros, elementCount, float32Data } from "../../graph/tensor.js";
import type { Graph, Node } from "../../graph/types.js";
import { mergedKernels } from "../../layers/forms.js";
import {
  convolutions,
  type DecomposedLayer,
  findDecompositions,
  prunableWeight,
} from "../../layers/weights.js";
import { type Factors, factorise } from "../basis.js";
import { basisSaves, decompositionCandidates } from "../decompose.js";
import { layerName } from "../inspect.js";

/** A convolution weight to be changed, alone, in several ways. */
export interface SurveyedLayer {
  /** The first convolution that reads the weight. */
  readonly name: string;
  /** The value that convolutions read as their weight: an initializer, or the product of coefficients and basis. */
  readonly weight: string;
  /** [K, C, ...kernel]. */
  readonly dims: readonly number[];
  /** The weight as the model has it, row-major in `dims`. */
  readonly kernels: Float32Array;
  /** Ranks below the full one, ascending, that say something about the layer; none where kernels share no basis. */
  readonly ranks: readonly number[];
  /** The rank at which the layer is reproduced exactly; undefined where kernels share no basis. */
  readonly fullRank: number | undefined;
  /** What sparsity removes from: coefficients on this many basis kernels, or the weights themselves if undefined. */
  readonly basis: number | undefined;
  /** The factors of a layer that is decomposed already. */
  readonly factors: Factors | undefined;
}

/** A convolution that is left out, and why. */
export interface SkippedLayer {
  readonly name: string;
  readonly reason: string;
}

export interface SurveyedLayers {
  readonly layers: readonly SurveyedLayer[];
  readonly skipped: readonly SkippedLayer[];
}

/** Up to here every rank is of interest; above, each is about √2 times the one before. */
const LAST_SINGLE_RANK = 9;

/** 1, 2, ..., 9, 13, 18, 25, ... below `fullRank`. */
export function rankSteps(fullRank: number): readonly number[] {
  const steps: number[] = [];
  for (let d = 1; d < fullRank; d = d < LAST_SINGLE_RANK ? d + 1 : Math.round(d * Math.SQRT2)) steps.push(d);
  return steps;
}

/** The best approximation of a layer with d basis kernels: its SVD, uncentred. */
export function rankFactors({ kernels, dims }: SurveyedLayer, d: number): Factors {
  return factorise(kernels, elementCount(dims.slice(2)), d);
}

function decomposedLayer(graph: Graph, layer: DecomposedLayer): SurveyedLayer {
  const { conv, d, K, C, R, S } = layer;
  const valuesOf = (name: string): Float32Array => float32Data(entryOf(graph.initializers, name));
  return {
    name: layerName(conv),
    weight: inputOf(conv, 1),
    dims: [K, C, R, S],
    kernels: float32Data(mergedKernels(graph, layer)),
    ranks: rankSteps(d),
    fullRank: d,
    basis: d,
    factors: { coefs: valuesOf(layer.coefs), basis: valuesOf(layer.basis) },
  };
}

type Decision = SurveyedLayer | SkippedLayer;

/** Decides, once for the whole graph, what to survey in each convolution. */
function decider(graph: Graph, basis: number): (conv: Node) => Decision {
  const decomposed = new Map(findDecompositions(graph).map((layer) => [layer.conv, layer]));
  const candidates = new Map(decompositionCandidates(graph).map((decision) => [decision.conv, decision]));
  return (conv) => {
    const existing = decomposed.get(conv);
    if (existing !== undefined) return decomposedLayer(graph, existing);
    const candidate = candidates.get(conv);
    const prunable = prunableWeight(graph, conv);
    const name = layerName(conv);
    if (prunable === undefined || elementCount(prunable.dims) === 0) {
      const reason = candidate?.layer === undefined ? candidate?.reason : undefined;
      return { name, reason: reason ?? "its weight is not a float32 constant" };
    }
    const { weight, dims } = prunable;
    const kernels = float32Data(entryOf(graph.initializers, weight));
    const common = { name, weight, dims, kernels, factors: undefined };
    const dense = candidate?.layer;
    if (dense === undefined) return { ...common, ranks: [], fullRank: undefined, basis: undefined };
    const { K, C, R, S } = dense;
    const fullRank = Math.min(K * C, R * S);
    const d = basisSaves(dense, basis, countNonZeros(kernels)) ? Math.min(basis, fullRank) : undefined;
    return { ...common, ranks: rankSteps(fullRank), fullRank, basis: d };
  };
}

/**
 * The convolution weights that Penni would change, in the graph's order, each once: decomposed already, to be given
 * `basis` kernels, or pruned as they are. All other convolutions come with the reason.
 */
export function surveyedLayers(graph: Graph, basis: number): SurveyedLayers {
  const decide = decider(graph, basis);
  const layers = new Map<string, SurveyedLayer>();
  const skipped: SkippedLayer[] = [];
  for (const conv of convolutions(graph)) {
    const decision = decide(conv);
    if ("reason" in decision) skipped.push(decision);
    else if (!layers.has(decision.weight)) layers.set(decision.weight, decision);
  }
  return { layers: [...layers.values()], skipped };
}
