import { wasmTarget } from "../compile/wasm/target.js";
import { orDefault } from "../graph/at.js";
import type { Graph } from "../graph/types.js";
import { comparedImages } from "../measure/compared_images.js";
import { countGraph, type GraphCount, type LayerCount } from "../measure/count.js";
import { predictedTime } from "../measure/predicted_latency.js";
import { foreseeCalibration } from "./calibrate/foreseen.js";
import { calibrationSeconds, leastFraction } from "./calibrate.js";
import { decompose } from "./decompose.js";
import { compressionDefaults } from "./defaults.js";
import { FileSize, type SizedLayer } from "./file_size.js";
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

/** What compressing is foreseen to be: pruning to size, or calibrating with so many basis kernels of a layer. */
export interface Foreseen {
  /** Of the multiply-accumulates (paper count), in (0, 1]. */
  readonly fractions: readonly number[];
  /** Absent where coefficients are pruned by their size. */
  readonly calibration?: { readonly basis: number | "auto" } | undefined;
}

/**
 * @param graph imported, input dimensions fixed, batch 1
 * @throws PenniError as `countGraph`
 */
export function verdictOn(
  graph: Graph,
  { layers }: Pick<Inspection, "layers">,
  { bytes, half }: ModelSize,
  { fractions, calibration }: Foreseen,
): Verdict {
  const original = countGraph(graph);
  const before = timesOf(original.layers);
  const { least, layersAt } = outlook(graph, original, calibration);
  const size = new FileSize(graph, original.layers, half ? 2 : 4);
  let last = before;
  const predictions = fractions
    .filter(() => totalOf(before) > 0)
    .toSorted((a, b) => b - a)
    .flatMap((fraction): Prediction[] => {
      const left = fraction < least ? undefined : layersAt(fraction);
      if (left === undefined) return [];
      last = timesOf(left.map(({ count }) => count));
      return [{ fraction, speedUp: totalOf(before) / totalOf(last), bytes: size.of(left) }];
    });
  const suits = suitability(layers);
  return { suits, families: familiesOf(layers), bytes, least, predictions, time: sharesOf(last) };
}

/** How little may be left, and what layers are with a fraction left; undefined where that cannot be. */
interface LayersLeft {
  readonly least: number;
  readonly layersAt: (fraction: number) => readonly SizedLayer[] | undefined;
}

function outlook(graph: Graph, original: GraphCount, calibration: Foreseen["calibration"]): LayersLeft {
  if (calibration !== undefined) {
    const { basis } = calibration;
    return {
      least: leastFraction(graph, { basis }),
      layersAt: (fraction) => foreseeCalibration(graph, original, { fraction, basis }),
    };
  }
  const decomposed = decompose(graph, { basis: compressionDefaults.basis });
  const thinning = new Thinning(decomposed, countGraph(decomposed).layers);
  const { paperMacs } = original;
  return {
    least: paperMacs === 0 ? 1 : thinning.least / paperMacs,
    layersAt: (fraction) =>
      thinning.to(fraction * paperMacs).layers.map((count) => ({ count, d: thinning.basisOf(count) })),
  };
}

type Shared = readonly [family: string, amount: number];

function timesOf(layers: readonly LayerCount[]): readonly Shared[] {
  return layers.map((layer) => [layerFamily(layer), predictedTime(layer, wasmTarget)]);
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
