import { withInitializers } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { float32Data, float32Tensor } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import { convolutions, findDecompositions, prunableWeight } from "../layers/weights.js";
import { countGraph, type GraphCount } from "../measure/count.js";
import {
  type CuttableBasis,
  cuttableBases,
  lives,
  type Remainder,
  remainingKernels,
} from "./prune_kernels.js";

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
  /**
   * The most values that single layers may keep, by the name of their initializer, whatever their threshold (see
   * `nonZeroLimits`). Those with a scale of 0 are spared all the same.
   */
  readonly limits?: ReadonlyMap<string, number>;
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
  /** The lowest threshold, at which no more values are left than the layer may keep. */
  readonly floor: number;
  readonly cuttable: CuttableBasis | undefined;
}

/** Population standard deviation about the mean: what thresholds of pruning are multiples of. */
export function standardDeviation(data: Float32Array): number {
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  return Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length);
}

function candidates(
  graph: Graph,
  { scales, limits, cuttable }: LayerScales & Pick<MacsTarget, "cuttable">,
): readonly Candidate[] {
  const bases = cuttableBases(graph, cuttable);
  return prunableInitializers(graph).flatMap((initializer) => {
    const tensor = graph.initializers.get(initializer);
    if (tensor === undefined) return [];
    const data = float32Data(tensor);
    const deviation = standardDeviation(data);
    const unit = deviation * (scales?.get(initializer) ?? 1);
    const floor = unit === 0 ? 0 : lowestThreshold(data, limits?.get(initializer) ?? data.length);
    const basis = scales?.get(initializer) === 0 ? undefined : bases.get(initializer);
    return [{ initializer, dims: tensor.dims, data, deviation, unit, floor, cuttable: basis }];
  });
}

/** The smallest threshold at which at most `most` values live; equal ones go together. */
function lowestThreshold(data: Float32Array, most: number): number {
  const alive = data.map(Math.abs).filter((size) => size > 0);
  if (alive.length <= most) return 0;
  // Largest last, NaN behind all.
  alive.sort();
  const first = alive[alive.length - most - 1] ?? 0;
  return alive.find((size) => size > first) ?? Number.POSITIVE_INFINITY;
}

const thresholdOf = ({ unit, floor }: Candidate, factor: number): number => Math.max(factor * unit, floor);

function remainder({ data, cuttable }: Candidate, threshold: number): Remainder {
  if (cuttable !== undefined) return remainingKernels(data, cuttable, threshold);
  const nonZeros = data.reduce((count, value) => (lives(value, threshold) ? count + 1 : count), 0);
  return { nonZeros, kernels: undefined };
}

/** Products of a layer at each output position that are not in `fixed`: coefficients, and kernels that may go. */
function remainingProducts(layer: Candidate, threshold: number): number {
  const { nonZeros, kernels } = remainder(layer, threshold);
  const kept = kernels?.filter((stays) => stays).length ?? 0;
  return nonZeros + kept * (layer.cuttable?.kernelMacs ?? 0);
}

function applyFactor(graph: Graph, layers: readonly Candidate[], factor: number): Pruning {
  const masks = new Map<string, Tensor>();
  const pruned: [string, Tensor][] = [];
  const report = layers.map((layer): PrunedLayer => {
    const threshold = thresholdOf(layer, factor);
    const { kernels } = remainder(layer, threshold);
    const isKept = (at: number): boolean => kernels === undefined || kernels[at % kernels.length] === true;
    const mask = layer.data.map((value, at) => (lives(value, threshold) && isKept(at) ? 1 : 0));
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
  const { factor } = options;
  if (!Number.isFinite(factor) || factor < 0) {
    throw new PenniError("bad-option", "the pruning factor is no multiple of a standard deviation", {
      expected: "a number from 0",
      found: `${factor}`,
      advice: "The paper uses 1",
    });
  }
  return applyFactor(graph, candidates(graph, options), factor);
}

export interface MacsTarget extends LayerScales {
  /** Paper-count MACs to reach, as a fraction of `originalMacs`; in (0, 1]. */
  readonly fraction: number;
  /**
   * Paper-count MACs of the original network for the same input dimensions. By default those of the graph with dense
   * kernels in place of its bases, which are the original's as long as the graph is not shrunk and its decomposed
   * layers had no zeros.
   */
  readonly originalMacs?: number;
  /**
   * Names of coefficients whose basis kernels may go as a whole, where they are worth less than they cost: those of layers
   * that came in decomposed, whose bases are not this run's choice. Counted as gone; `shrink` drops them.
   */
  readonly cuttable?: ReadonlySet<string>;
}

/**
 * Prunes with the smallest common multiple of the layers' standard deviations at which the paper-count MACs
 * are at most `fraction` of the original network's. The graph's input dimensions must be fixed.
 * @throws PenniError "bad-option" if pruning everything would not be enough, or the fraction is not in (0, 1].
 */
export function pruneToMacs(graph: Graph, target: MacsTarget): Pruning {
  const { layers, original, macs } = prunedMacs(graph, target);
  const least = original === 0 ? 0 : macs(LARGEST_FACTOR) / original;
  checkReachable(target.fraction, least, "a smaller --basis, or --preset calibrate");
  const factor = smallestFactor((candidate) => macs(candidate) <= target.fraction * original);
  return applyFactor(graph, layers, factor);
}

/** The smallest fraction that `pruneToMacs` can reach, without a coefficient that may go, and the largest that it leaves. */
export function prunedShares(
  graph: Graph,
  target: Omit<MacsTarget, "fraction">,
): { readonly least: number; readonly most: number } {
  const { original, macs } = prunedMacs(graph, target);
  const share = (factor: number): number => (original === 0 ? 0 : macs(factor) / original);
  return { least: share(LARGEST_FACTOR), most: share(0) };
}

/** Everything that may be pruned set to zero, however large. */
export function pruneAll(graph: Graph, scales: LayerScales = {}): Graph {
  return applyFactor(graph, candidates(graph, scales), LARGEST_FACTOR).graph;
}

interface PrunedMacs {
  readonly layers: readonly Candidate[];
  readonly original: number;
  /** Multiply-accumulates (paper count) after pruning with a factor. */
  readonly macs: (factor: number) => number;
}

function prunedMacs(graph: Graph, target: Omit<MacsTarget, "fraction">): PrunedMacs {
  const count = countGraph(graph);
  const original = target.originalMacs ?? undecomposedMacs(graph, count);
  const layers = candidates(graph, target);
  const positions = new Map<string, number>();
  let fixed = count.paperMacs;
  for (const { sparse } of count.layers) {
    if (sparse === undefined) continue;
    positions.set(sparse.initializer, (positions.get(sparse.initializer) ?? 0) + sparse.positions);
    fixed -= sparse.positions * (sparse.nonZeros + cuttableMacs(layers, sparse.initializer));
  }
  const macs = (factor: number): number =>
    layers.reduce(
      (sum, layer) =>
        sum + remainingProducts(layer, thresholdOf(layer, factor)) * (positions.get(layer.initializer) ?? 0),
      fixed,
    );
  return { layers, original, macs };
}

/** Products that all kernels of a basis that can be cut cost at each output position. */
function cuttableMacs(layers: readonly Candidate[], initializer: string): number {
  const basis = layers.find((layer) => layer.initializer === initializer)?.cuttable;
  return basis === undefined ? 0 : basis.d * basis.kernelMacs;
}

function undecomposedMacs(graph: Graph, { layers }: GraphCount): number {
  const decomposed = new Set(findDecompositions(graph).map(({ conv }) => conv));
  return layers.reduce(
    (sum, { node, paperMacs, executedMacs }) => sum + (decomposed.has(node) ? executedMacs : paperMacs),
    0,
  );
}

/**
 * How many values each prunable initializer of a network may keep so that no layer costs more multiply-accumulates
 * (paper count) than the same layer did originally, for `LayerScales.limits`. Layers are the same if they compute a value
 * of the same name; others have no limit.
 * @param original with fixed input dimensions, those of `graph`
 */
export function nonZeroLimits(original: Graph, graph: Graph): ReadonlyMap<string, number> {
  const before = new Map(
    countGraph(original).layers.map(({ node, paperMacs }) => [node.outputs[0], paperMacs]),
  );
  const room = new Map<string, { macs: number; positions: number }>();
  for (const { node, paperMacs, sparse } of countGraph(graph).layers) {
    const most = before.get(node.outputs[0]);
    if (sparse === undefined || most === undefined) continue;
    const { macs, positions } = room.get(sparse.initializer) ?? { macs: 0, positions: 0 };
    const fixed = paperMacs - sparse.positions * sparse.nonZeros;
    room.set(sparse.initializer, { macs: macs + most - fixed, positions: positions + sparse.positions });
  }
  return new Map(
    [...room].flatMap(([initializer, { macs, positions }]) =>
      positions === 0 ? [] : [[initializer, Math.max(0, Math.floor(macs / positions))] as const],
    ),
  );
}

/**
 * Refuses a fraction of the original's multiply-accumulates (paper count) below the least that can be reached.
 * @param otherwise what else may help
 * @throws PenniError "bad-option"
 */
export function checkReachable(fraction: number, minimum: number, otherwise: string): void {
  if (!(fraction > 0 && fraction <= 1)) {
    throw new PenniError("bad-option", "the MACs target is no fraction of the original network's", {
      expected: "a number above 0, at most 1",
      found: `${fraction}`,
    });
  }
  if (minimum <= fraction) return;
  // Rounded up, so that what is advised is accepted.
  const least = (Math.ceil(minimum * 1e4) / 1e4).toFixed(4);
  throw new PenniError("bad-option", "the MACs target cannot be reached by pruning coefficients", {
    expected: `at least ${least} of the original MACs (paper count), what bases and layers that stay as they are cost alone`,
    found: `${fraction}`,
    advice: minimum < 1 ? `Give --target-macs ${least} or more, ${otherwise}` : "There is nothing to gain",
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
