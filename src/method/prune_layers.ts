import { at, entryOf, orDefault } from "../graph/at.js";
import { withInitializers } from "../graph/edit.js";
import { float32Data, float32Tensor } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import { convolutions, findDecompositions, prunableWeight } from "../layers/weights.js";
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
  /** Everything smaller in size became zero: in magnitude, unless the loss was asked (`MacsTarget.losses`). */
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

/** Which layers may lose whole basis kernels. */
export interface Cuttable {
  /**
   * Names of coefficients whose basis kernels may go as a whole, where they are worth less than they cost: those of layers
   * that came in decomposed, whose bases are not this run's choice. Counted as gone; `shrink` drops them.
   */
  readonly cuttable?: ReadonlySet<string>;
}

/** An initializer that may be pruned. */
export interface Candidate {
  readonly initializer: string;
  readonly dims: readonly number[];
  readonly data: Float32Array;
  /** What thresholds are compared with: the data itself, or by another measure the size of each of its values. */
  readonly sizes: Float32Array;
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

/**
 * All that may be pruned, in the order of `prunableInitializers`.
 * @param measured sizes in one unit for all layers, by the name of the initializer; one that has none there stays. By
 *   default sizes are magnitudes, in units of their layer's deviation.
 */
export function candidates(
  graph: Graph,
  { scales, limits, cuttable }: LayerScales & Cuttable,
  measured?: ReadonlyMap<string, Float32Array>,
): readonly Candidate[] {
  const bases = cuttableBases(graph, cuttable);
  return prunableInitializers(graph).map((initializer): Candidate => {
    const tensor = entryOf(graph.initializers, initializer);
    const data = float32Data(tensor);
    const deviation = standardDeviation(data);
    const sizes = measured === undefined ? data : (measured.get(initializer) ?? data);
    const isMeasured = measured?.has(initializer) !== false;
    const scale = isMeasured ? orDefault(scales?.get(initializer), 1) : 0;
    const unit = (measured === undefined ? deviation : 1) * scale;
    const floor = unit === 0 ? 0 : lowestThreshold(sizes, limits?.get(initializer) ?? data.length);
    const basis = scale === 0 ? undefined : bases.get(initializer);
    return { initializer, dims: tensor.dims, data, sizes, deviation, unit, floor, cuttable: basis };
  });
}

/** The smallest threshold at which at most `most` values live; equal ones go together. */
function lowestThreshold(data: Float32Array, most: number): number {
  const alive = data.map(Math.abs).filter((size) => size > 0);
  if (alive.length <= most) return 0;
  // Largest last, NaN behind all.
  alive.sort();
  const first = at(alive, alive.length - most - 1);
  // Where none is larger, all go.
  return orDefault(
    alive.find((size) => size > first),
    Number.POSITIVE_INFINITY,
  );
}

/** What is smaller than this in size goes. */
export const thresholdOf = ({ unit, floor }: Candidate, factor: number): number =>
  Math.max(factor * unit, floor);

function remainder({ sizes, cuttable }: Candidate, threshold: number): Remainder {
  if (cuttable !== undefined) return remainingKernels(sizes, cuttable, threshold);
  const nonZeros = sizes.reduce((count, value) => (lives(value, threshold) ? count + 1 : count), 0);
  return { nonZeros, kernels: undefined };
}

/** Products of a layer at each output position that are not in `fixed`: coefficients, and kernels that may go. */
export function remainingProducts(layer: Candidate, threshold: number): number {
  const { nonZeros, kernels } = remainder(layer, threshold);
  if (layer.cuttable === undefined || kernels === undefined) return nonZeros;
  return nonZeros + kernels.filter((stays) => stays).length * layer.cuttable.kernelMacs;
}

/** The graph without all that is below the layers' thresholds. */
export function applyFactor(graph: Graph, layers: readonly Candidate[], factor: number): Pruning {
  const masks = new Map<string, Tensor>();
  const pruned: [string, Tensor][] = [];
  const report = layers.map((layer): PrunedLayer => {
    const threshold = thresholdOf(layer, factor);
    const { kernels } = remainder(layer, threshold);
    const isKept = (at: number): boolean => kernels === undefined || kernels[at % kernels.length] === true;
    const mask = layer.sizes.map((value, at) => (lives(value, threshold) && isKept(at) ? 1 : 0));
    masks.set(layer.initializer, float32Tensor(layer.dims, mask));
    const kept = layer.data.map((value, index) => (mask[index] === 1 ? value : 0));
    pruned.push([layer.initializer, float32Tensor(layer.dims, kept)]);
    const nonZeros = mask.reduce((sum, value) => sum + value, 0);
    const { initializer, deviation } = layer;
    return { initializer, elements: layer.data.length, nonZeros, deviation, threshold };
  });
  return { graph: withInitializers(graph, pruned), masks, factor, layers: report };
}
