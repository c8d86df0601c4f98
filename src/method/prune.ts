import { withInitializers } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { float32Data, float32Tensor } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import { countGraph } from "../measure/count.js";
import { convolutions, findDecompositions, prunableWeight } from "../ops/weights.js";

/** What pruning did to one initializer. */
export interface PrunedLayer {
  /** Coefficients of a decomposed layer, or the weight of a dense convolution. */
  readonly initializer: string;
  readonly elements: number;
  readonly nonZeros: number;
  /** Population standard deviation about the mean, before pruning. */
  readonly deviation: number;
  /** Everything smaller in magnitude became zero. */
  readonly threshold: number;
}

export interface Pruning {
  readonly graph: Graph;
  /** For each pruned initializer a float32 tensor of its shape: 1 where a value lives, 0 where it is zero. */
  readonly masks: ReadonlyMap<string, Tensor>;
  readonly factor: number;
  readonly layers: readonly PrunedLayer[];
}

export interface LayerScales {
  /** Multiplies the threshold of single layers, by the name of their initializer; 1 for all others. */
  readonly scales?: ReadonlyMap<string, number>;
}

/**
 * Names of the initializers that pruning may thin out, each once, in the graph's order: the coefficients of
 * decomposed convolutions, and the weights of all other convolutions but depthwise ones.
 */
export function prunableInitializers(graph: Graph): readonly string[] {
  const coefs = new Map(findDecompositions(graph).map((layer) => [layer.conv, layer.coefs]));
  const names = convolutions(graph).flatMap((conv) => {
    const initializer = coefs.get(conv) ?? prunableWeight(graph, conv)?.weight;
    return initializer === undefined ? [] : [initializer];
  });
  return [...new Set(names)];
}

interface Candidate {
  readonly initializer: string;
  readonly dims: readonly number[];
  readonly data: Float32Array;
  readonly deviation: number;
  /** Threshold for factor 1. */
  readonly unit: number;
}

/** Population standard deviation about the mean. */
function standardDeviation(data: Float32Array): number {
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  return Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length);
}

function candidates(graph: Graph, scales: ReadonlyMap<string, number> | undefined): readonly Candidate[] {
  return prunableInitializers(graph).flatMap((initializer) => {
    const tensor = graph.initializers.get(initializer);
    if (tensor === undefined) return [];
    const data = float32Data(tensor);
    const deviation = standardDeviation(data);
    const unit = deviation * (scales?.get(initializer) ?? 1);
    return [{ initializer, dims: tensor.dims, data, deviation, unit }];
  });
}

const lives = (value: number, threshold: number): boolean => value !== 0 && Math.abs(value) >= threshold;

function survivors({ data }: Candidate, threshold: number): number {
  return data.reduce((count, value) => (lives(value, threshold) ? count + 1 : count), 0);
}

function applyFactor(graph: Graph, layers: readonly Candidate[], factor: number): Pruning {
  const masks = new Map<string, Tensor>();
  const pruned: [string, Tensor][] = [];
  const report = layers.map((layer): PrunedLayer => {
    const threshold = factor * layer.unit;
    const mask = layer.data.map((value) => (lives(value, threshold) ? 1 : 0));
    masks.set(layer.initializer, float32Tensor(layer.dims, mask));
    const kept = layer.data.map((value, index) => (mask[index] === 1 ? value : 0));
    pruned.push([layer.initializer, float32Tensor(layer.dims, kept)]);
    const nonZeros = mask.reduce((sum, value) => sum + value, 0);
    const { initializer, deviation } = layer;
    return { initializer, elements: layer.data.length, nonZeros, deviation, threshold };
  });
  return { graph: withInitializers(graph, pruned), masks, factor, layers: report };
}

/**
 * The paper's pruning rule (section 3.3): coefficients smaller in magnitude than `factor` standard deviations of
 * their layer's coefficients become zero; the weights of convolutions that are not decomposed (1x1 ones, and those
 * where a basis saves nothing) the same way. The paper's factor is 1. What is zero already stays masked.
 * @throws PenniError "bad-option" unless the factor is a finite number from 0.
 */
export function pruneCoefficients(graph: Graph, options: { readonly factor: number } & LayerScales): Pruning {
  const { factor, scales } = options;
  if (!Number.isFinite(factor) || factor < 0) {
    throw new PenniError("bad-option", "the pruning factor is no multiple of a standard deviation", {
      expected: "a number from 0",
      found: `${factor}`,
      advice: "The paper uses 1",
    });
  }
  return applyFactor(graph, candidates(graph, scales), factor);
}

export interface MacsTarget extends LayerScales {
  /** Paper-count MACs to reach, as a fraction of `originalMacs`; in (0, 1]. */
  readonly fraction: number;
  /**
   * MACs of the original network for the same input dimensions. By default what the graph's dense kernels
   * cost, which is the original's as long as the graph is not shrunk.
   */
  readonly originalMacs?: number;
}

/**
 * Prunes with the smallest common multiple of the layers' standard deviations at which the paper-count MACs
 * are at most `fraction` of the original network's. The graph's input dimensions must be fixed.
 * @throws PenniError "bad-option" if pruning everything would not be enough, or the fraction is not in (0, 1].
 */
export function pruneToMacs(graph: Graph, target: MacsTarget): Pruning {
  const count = countGraph(graph);
  const original = target.originalMacs ?? count.executedMacs;
  const layers = candidates(graph, target.scales);
  const positions = new Map<string, number>();
  let fixed = count.paperMacs;
  for (const { sparse } of count.layers) {
    if (sparse === undefined) continue;
    positions.set(sparse.initializer, (positions.get(sparse.initializer) ?? 0) + sparse.positions);
    fixed -= sparse.positions * sparse.nonZeros;
  }
  const macs = (factor: number): number =>
    layers.reduce(
      (sum, layer) => sum + survivors(layer, factor * layer.unit) * (positions.get(layer.initializer) ?? 0),
      fixed,
    );
  checkReachable(target.fraction, macs(LARGEST_FACTOR) / original);
  const factor = smallestFactor((candidate) => macs(candidate) <= target.fraction * original);
  return applyFactor(graph, layers, factor);
}

function checkReachable(fraction: number, minimum: number): void {
  if (!(fraction > 0 && fraction <= 1)) {
    throw new PenniError("bad-option", "the MACs target is no fraction of the original network's", {
      expected: "a number above 0, at most 1",
      found: `${fraction}`,
    });
  }
  if (minimum <= fraction) return;
  throw new PenniError("bad-option", "the MACs target cannot be reached by pruning coefficients", {
    expected: `at least ${minimum.toFixed(4)} of the original MACs, what bases and dense layers cost alone`,
    found: `${fraction}`,
    advice: "Raise --target-macs or choose a smaller --basis",
  });
}

/** Beyond this many standard deviations nothing is left to prune in any real layer. */
const LARGEST_FACTOR = 2 ** 20;
/** Halvings after which the factor's remaining error moves no coefficient. */
const BISECTIONS = 48;

/** The smallest factor that is enough, to float precision; more pruning never increases MACs. */
function smallestFactor(isEnough: (factor: number) => boolean): number {
  if (isEnough(0)) return 0;
  let high = 1;
  while (!isEnough(high) && high < LARGEST_FACTOR) high *= 2;
  let low = 0;
  for (let round = 0; round < BISECTIONS; round++) {
    const middle = (low + high) / 2;
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  return high;
}
