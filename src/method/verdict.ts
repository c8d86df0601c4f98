import { wasmTarget } from "../compile/wasm/target.js";
import { orDefault } from "../graph/at.js";
import type { Graph } from "../graph/types.js";
import { comparedImages } from "../measure/compared_images.js";
import { countGraph, type LayerCount } from "../measure/count.js";
import { predictedTime } from "../measure/predicted_latency.js";
import { calibrationSeconds } from "./calibrate.js";
import { decompose } from "./decompose.js";
import { compressionDefaults } from "./defaults.js";
import type { Inspection } from "./inspect.js";
import { kindShares, type LayerKind, layerFamily } from "./layer_kinds.js";
import { Thinning } from "./thinned.js";

/** Layers that are called the same, and their share of something, 0 to 1. */
export interface FamilyShare {
  readonly family: string;
  readonly share: number;
}

/** What becomes of a network that keeps a share of its multiply-accumulates (paper count). */
export interface Prediction {
  readonly fraction: number;
  /** How many times as fast as the original, both compiled. */
  readonly speedUp: number;
  /** Of the .onnx file. */
  readonly bytes: number;
}

/** What compression is for in a network: shared kernels, single weights, some of both, or nothing. */
export type Suitability = "kernels" | "both" | "weights" | "nothing";

/** What Penni would make of a network, from the weights as they are: without images, training and measurements. */
export interface Verdict {
  readonly suits: Suitability;
  /** Of the multiply-accumulates, by kind of layer, the largest first. */
  readonly families: Readonly<Record<LayerKind, readonly FamilyShare[]>>;
  /** Of the model's file as it is. */
  readonly bytes: number;
  /** The smallest fraction of the multiply-accumulates (paper count) that removing coefficients can leave. */
  readonly least: number;
  /** Of the fractions that were asked for, those that can be reached, the largest first. */
  readonly predictions: readonly Prediction[];
  /** Where the predicted time of the last of them goes, or of the network as it is; the largest share first. */
  readonly time: readonly FamilyShare[];
}

/** Below this share of the multiply-accumulates, layers of a kind do not decide. */
const LITTLE = 0.25;

/** A model's file, as far as its size goes. */
export interface ModelSize {
  readonly bytes: number;
  /** Whether its weights are float16. */
  readonly half: boolean;
}

/**
 * @param graph imported, input dimensions fixed, batch 1
 * @param fractions of the multiply-accumulates (paper count), in (0, 1]
 * @throws PenniError as `countGraph`
 */
export function verdictOn(
  graph: Graph,
  { layers }: Pick<Inspection, "layers">,
  { bytes, half }: ModelSize,
  fractions: readonly number[],
): Verdict {
  const decomposed = decompose(graph, { basis: compressionDefaults.basis });
  const [original, whole] = [countGraph(graph), countGraph(decomposed)];
  const thinning = new Thinning(decomposed, whole.layers);
  const valueBytes = half ? 2 : 4;
  const besides = bytes - new Thinning(graph, original.layers).bytesOf(original.layers, valueBytes);
  const least = original.paperMacs === 0 ? 1 : thinning.least / original.paperMacs;
  const before = timesOf(original.layers);
  let last = before;
  const predictions = fractions
    .filter((fraction) => fraction >= least && totalOf(before) > 0)
    .toSorted((a, b) => b - a)
    .map((fraction): Prediction => {
      const thinned = thinning.to(fraction * original.paperMacs);
      last = timesOf(thinned.layers);
      return {
        fraction,
        speedUp: totalOf(before) / totalOf(last),
        bytes: Math.max(0, besides) + thinning.bytesOf(thinned.layers, valueBytes),
      };
    });
  const suits = suitability(layers);
  return { suits, families: familiesOf(layers), bytes, least, predictions, time: sharesOf(last) };
}

type Shared = readonly [family: string, amount: number];

function timesOf(layers: readonly LayerCount[]): readonly Shared[] {
  return layers.map((layer) => [layerFamily(layer), predictedTime(layer, wasmTarget.rates)]);
}

function totalOf(amounts: readonly Shared[]): number {
  return amounts.reduce((sum, [, amount]) => sum + amount, 0);
}

/** By family, of all. */
function sharesOf(amounts: readonly Shared[], total: number = totalOf(amounts)): readonly FamilyShare[] {
  const sums = new Map<string, number>();
  for (const [family, amount] of amounts) sums.set(family, orDefault(sums.get(family), 0) + amount);
  return [...sums]
    .filter(([, amount]) => amount > 0)
    .map(([family, amount]) => ({ family, share: amount / total }))
    .sort((a, b) => b.share - a.share);
}

function suitability(layers: Inspection["layers"]): Suitability {
  const { kernels, weights } = kindShares(layers);
  if (kernels.layers + weights.layers === 0) return "nothing";
  if (kernels.share >= LITTLE && weights.share >= LITTLE) return "both";
  return kernels.share >= weights.share ? "kernels" : "weights";
}

function familiesOf(layers: Inspection["layers"]): Verdict["families"] {
  const total = layers.reduce((sum, { executedMacs }) => sum + executedMacs, 0);
  const of = (kind: LayerKind): readonly FamilyShare[] =>
    sharesOf(
      layers.filter((layer) => layer.kind === kind).map(({ family, executedMacs }) => [family, executedMacs]),
      total,
    );
  return { kernels: of("kernels"), weights: of("weights"), fixed: of("fixed") };
}

/**
 * Seconds that a calibrated start of a run takes on a usual processor with two threads, roughly.
 * @param images that the run draws
 */
export function expectedCalibration(graph: Graph, images: number, basis: number | "auto"): number {
  const compared = Math.min(images, comparedImages(graph));
  return calibrationSeconds(graph, { all: images, compared }, { basis });
}
