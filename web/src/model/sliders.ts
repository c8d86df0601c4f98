import { at, entryOf, inputOf, present } from "../../../src/graph/at.js";
import { withInitializers } from "../../../src/graph/edit.js";
import { countNonZeros, elementCount, float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../../src/graph/types.js";
import { convolutions, type DenseLayer, findDecompositions } from "../../../src/layers/weights.js";
import { type Factors, factorise } from "../../../src/method/basis.js";
import { basisSaves, decompositionCandidates, withFactors } from "../../../src/method/decompose.js";
import { layerName } from "../../../src/method/inspect.js";
import { lives } from "../../../src/method/prune_kernels.js";
import { prunableInitializers, standardDeviation } from "../../../src/method/prune_layers.js";
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
  private readonly sizes: SizesOfElements;
  private decomposed: { readonly key: string; readonly graph: DecomposedGraph } | undefined;

  constructor(private readonly dense: Graph) {
    const decisions = decompositionCandidates(dense);
    this.layers = decisions.flatMap(({ layer }) => (layer === undefined ? [] : [layer]));
    this.names = new Map(this.layers.map(({ weight, conv }) => [weight, layerName(conv)]));
    this.most = mostBasis(this.layers);
    this.sizes = new SizesOfElements(dense);
  }

  /** Whether some layer has kernels that can share a basis. */
  get hasKernels(): boolean {
    return this.layers.some((layer) => basisSaves(layer, 1));
  }

  graphOf(settings: Settings): Graph {
    const { graph, thresholds } = this.decomposedFor(settings);
    return shrink(withZeros(graph, thresholds(settings)));
  }

  private decomposedFor(settings: Settings): DecomposedGraph {
    const own = Object.entries(settings.layers).map(([name, { basis }]) => [name, basis]);
    const key = JSON.stringify([settings.basis, own]);
    if (this.decomposed?.key !== key) {
      const graph = withFactors(this.dense, (layer) => this.factors(layer, settings));
      this.decomposed = { key, graph: decomposedGraph(graph, this.sizes) };
    }
    return this.decomposed.graph;
  }

  private factors(layer: DenseLayer, { basis, layers }: Settings): Factors | undefined {
    const { weight, R, S } = layer;
    const d = layers[entryOf(this.names, weight)]?.basis ?? basis;
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

/** The network with zeros for all elements below thresholds, by initializer. */
function withZeros(graph: Graph, thresholds: ReadonlyMap<string, number>): Graph {
  const changed = [...thresholds].flatMap(([name, threshold]) => {
    const tensor = graph.initializers.get(name);
    if (tensor === undefined || threshold === 0) return [];
    const kept = float32Data(tensor).map((value) => (lives(value, threshold) ? value : 0));
    return [[name, float32Tensor(tensor.dims, kept)] as const];
  });
  return withInitializers(graph, changed);
}

/** A decomposed network, and by initializer below which size elements become zero. */
interface DecomposedGraph {
  readonly graph: Graph;
  readonly thresholds: (settings: Settings) => ReadonlyMap<string, number>;
}

function decomposedGraph(graph: Graph, sizes: SizesOfElements): DecomposedGraph {
  const coefs = new Map(findDecompositions(graph).map((layer) => [layer.conv, layer.coefs]));
  const layers = new Map(
    convolutions(graph).map((conv) => [coefs.get(conv) ?? inputOf(conv, 1), layerName(conv)]),
  );
  const prunable = prunableInitializers(graph).flatMap((name) => {
    const tensor = graph.initializers.get(name);
    return tensor === undefined ? [] : [{ name, layer: entryOf(layers, name), ...sizes.of(tensor) }];
  });
  const all = joined(prunable.map(({ sizes: own }) => own)).sort();
  const thresholds = (settings: Settings): ReadonlyMap<string, number> => {
    const common = quantile(all, settings.sparsity);
    return new Map(
      prunable.map(({ name, layer, deviation, sizes: own }) => {
        const share = settings.layers[layer]?.sparsity;
        return [name, deviation * (share === undefined ? common : quantile(own.toSorted(), share))];
      }),
    );
  };
  return { graph, thresholds };
}

/** Of an initializer: what its elements vary by, and their sizes in units of that. */
interface ElementSizes {
  readonly deviation: number;
  /** Of all elements, or of some evenly spread. */
  readonly sizes: Float32Array;
}

/** Elements of a network whose sizes are looked at: so many tell any share to a thousandth. */
const MOST_SIZES = 2 ** 20;

/** Sizes of elements, for each initializer only once. */
class SizesOfElements {
  private readonly known = new WeakMap<Tensor, ElementSizes>();
  private readonly step: number;

  constructor(network: Graph) {
    const all = [...network.initializers.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
    this.step = Math.max(1, Math.round(all / MOST_SIZES));
  }

  of(tensor: Tensor): ElementSizes {
    const found = this.known.get(tensor) ?? this.measured(float32Data(tensor));
    this.known.set(tensor, found);
    return found;
  }

  private measured(data: Float32Array): ElementSizes {
    const deviation = standardDeviation(data);
    if (!(deviation > 0)) return { deviation: 0, sizes: new Float32Array() };
    const sizes = new Float32Array(Math.ceil(data.length / this.step));
    for (let at = 0; at < sizes.length; at++) sizes[at] = Math.abs(present(data[at * this.step])) / deviation;
    return { deviation, sizes };
  }
}

/** The element of a sorted list below which a share of all lies; 0 for a share of nothing. */
function quantile(sorted: Float32Array, share: number): number {
  const below = Math.floor(share * sorted.length);
  return below === 0 ? 0 : at(sorted, below);
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
