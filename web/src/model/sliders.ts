import { countNonZeros, float32Data } from "../../../src/graph/tensor.js";
import type { Graph } from "../../../src/graph/types.js";
import { convolutions, type DenseLayer, findDecompositions } from "../../../src/layers/weights.js";
import { type Factors, factorise } from "../../../src/method/basis.js";
import { basisSaves, decompositionCandidates, withFactors } from "../../../src/method/decompose.js";
import { layerName } from "../../../src/method/inspect.js";
import { type PrunedLayer, prunableInitializers, pruneCoefficients } from "../../../src/method/prune.js";
import { shrink } from "../../../src/method/shrink.js";
import { mostBasis, type Settings } from "./settings.js";

/**
 * A network as the sliders leave it: decomposed by SVD, its smallest coefficients zero by the paper's rule (in units of
 * each layer's deviation), and without what then does nothing. What does not depend on all settings is kept from one
 * move to the next.
 */
export class Sliders {
  /** The upper end of the slider for basis kernels. */
  readonly most: number;
  private readonly layers: readonly DenseLayer[];
  private readonly names: ReadonlyMap<string, string>;
  /** All taps of each weight on its own singular vectors, of which any basis is the first few. */
  private readonly full = new Map<string, Factors>();
  private decomposed: { readonly key: string; readonly sizes: Sizes } | undefined;

  constructor(private readonly dense: Graph) {
    const decisions = decompositionCandidates(dense);
    this.layers = decisions.flatMap(({ layer }) => (layer === undefined ? [] : [layer]));
    this.names = new Map(this.layers.map(({ weight, conv }) => [weight, layerName(conv)]));
    this.most = mostBasis(this.layers);
  }

  /** Whether some layer has kernels that can share a basis. */
  get hasKernels(): boolean {
    return this.layers.some((layer) => basisSaves(layer, 1));
  }

  graphOf(settings: Settings): Graph {
    const sizes = this.sizesOf(settings);
    const scales = sizes.thresholds(settings);
    const pruned = pruneCoefficients(sizes.graph, { factor: 1, scales }).graph;
    return shrink(pruned);
  }

  private sizesOf(settings: Settings): Sizes {
    const own = Object.entries(settings.layers).map(([name, { basis }]) => [name, basis]);
    const key = JSON.stringify([settings.basis, own]);
    if (this.decomposed?.key !== key)
      this.decomposed = {
        key,
        sizes: new Sizes(withFactors(this.dense, (layer) => this.factors(layer, settings))),
      };
    return this.decomposed.sizes;
  }

  private factors(layer: DenseLayer, { basis, layers }: Settings): Factors | undefined {
    const { weight, R, S } = layer;
    const d = layers[this.names.get(weight) ?? ""]?.basis ?? basis;
    const tensor = this.dense.initializers.get(weight);
    if (tensor === undefined || d >= Math.min(R * S, this.most)) return undefined;
    const kernels = float32Data(tensor);
    if (!basisSaves(layer, d, countNonZeros(kernels))) return undefined;
    const full = this.full.get(weight) ?? factorise(kernels, R * S, R * S);
    this.full.set(weight, full);
    return firstKernels(full, R * S, d);
  }
}

/** The first d of all basis kernels, with their coefficients. */
function firstKernels({ coefs, basis }: Factors, taps: number, d: number): Factors {
  const rows = coefs.length / taps;
  const kept = new Float32Array(rows * d);
  for (let row = 0; row < rows; row++) kept.set(coefs.subarray(row * taps, row * taps + d), row * d);
  return { coefs: kept, basis: basis.slice(0, d * taps) };
}

/** A decomposed network with the sizes of its coefficients in order, so that any share of them is found at once. */
class Sizes {
  /** Layers' names by what may be pruned in them. */
  private readonly layers: ReadonlyMap<string, string>;
  private readonly deviations: ReadonlyMap<string, number>;
  private all: Float32Array | undefined;

  constructor(readonly graph: Graph) {
    const coefs = new Map(findDecompositions(graph).map((layer) => [layer.conv, layer.coefs]));
    this.layers = new Map(
      convolutions(graph).map((conv) => [coefs.get(conv) ?? conv.inputs[1] ?? "", layerName(conv)]),
    );
    const { layers } = pruneCoefficients(graph, { factor: 0 });
    this.deviations = new Map(
      layers.map(({ initializer, deviation }: PrunedLayer) => [initializer, deviation]),
    );
  }

  /** For each initializer the deviations below which its elements become zero. */
  thresholds({ sparsity, layers }: Settings): ReadonlyMap<string, number> {
    const names = prunableInitializers(this.graph);
    this.all ??= joined(names.map((name) => this.sizes(name))).sort();
    const common = quantile(this.all, sparsity);
    return new Map(
      names.map((name) => {
        const own = layers[this.layers.get(name) ?? ""]?.sparsity;
        return [name, own === undefined ? common : quantile(this.sizes(name).sort(), own)];
      }),
    );
  }

  /** Of each element, in units of its layer's deviation. */
  private sizes(name: string): Float32Array {
    const tensor = this.graph.initializers.get(name);
    const deviation = this.deviations.get(name) ?? 0;
    if (tensor === undefined || deviation === 0) return new Float32Array();
    return float32Data(tensor).map((value) => Math.abs(value) / deviation);
  }
}

/** The element of a sorted list below which a share of all lies; 0 for a share of nothing. */
function quantile(sorted: Float32Array, share: number): number {
  const below = Math.floor(share * sorted.length);
  return below === 0 ? 0 : (sorted[below] ?? 0);
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
