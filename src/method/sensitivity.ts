import { allIndices } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import { sampleIndices } from "../data/hold_out.js";
import type { Preprocessing } from "../data/preprocessing.js";
import type { Provider } from "../execute/device.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import type { OutputChange } from "../measure/output_change.js";
import { float32Interface } from "../ops/passes/float16.js";
import { compressionDefaults } from "./defaults.js";
import { type SkippedLayer, type SurveyedLayer, surveyedLayers } from "./sensitivity/layers.js";
import { Survey, type SurveyedVariant } from "./sensitivity/survey.js";
import type { Variant } from "./sensitivity/variants.js";

export interface SensitivitySettings {
  /** How many images, drawn at random from the split (256). */
  readonly images?: number;
  /** Seed of the choice of images (0). */
  readonly seed?: number;
  /** Basis kernels of the layers whose coefficients are removed (5). */
  readonly basis?: number;
  /** Ranks to try, from 1; by default 1 to 9 and some above. A layer skips those that are not below its full rank. */
  readonly ranks?: readonly number[];
  /** Shares of a layer's coefficients or weights to remove, in (0, 1) (0.25, 0.5, 0.75, 0.9). */
  readonly sparsities?: readonly number[];
  /** Only these layers: names of convolutions or of their weights; "*" stands for anything. */
  readonly layers?: readonly string[];
  /** Whether labels are used where there are any (true). */
  readonly labels?: boolean;
  /** Images in a batch; by default what keeps the largest value below 64 MiB, at most 128. */
  readonly batch?: number;
  /** Threads of the runtime; by default one per core. */
  readonly threads?: number;
  /** Where the network runs; by default the CPU. */
  readonly provider?: Provider;
  readonly signal?: AbortSignal;
  /** Called after each run with the number of images run through some variant, and how many there will be. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What one change of one layer does to the whole network. */
export interface Effect extends OutputChange {
  /** `top1` minus that of the original; undefined without labels. */
  readonly difference: number | undefined;
}

/** How a network reacts to changes of one layer alone, everything else untouched. */
export interface LayerSensitivity {
  readonly name: string;
  /** [K, C, ...kernel]. */
  readonly weightDims: readonly number[];
  /** The layer on its d best basis kernels (SVD), by d; the last one reproduces it and is not run. */
  readonly ranks: readonly (Effect & { readonly d: number })[];
  /** What the sparsities remove from: coefficients on this many basis kernels, or the weights if undefined. */
  readonly basis: number | undefined;
  /** That share of smallest coefficients or weights removed. */
  readonly sparsities: readonly (Effect & { readonly sparsity: number })[];
}

export interface Sensitivity {
  /** "accuracy" where the images have labels and the network has class scores, else "error". */
  readonly measure: "accuracy" | "error";
  readonly images: number;
  /** Names of the outputs that are compared, in the order of `errors`. */
  readonly outputs: readonly string[];
  /** Accuracy of the original on these images. */
  readonly original: { readonly top1: number | undefined };
  readonly layers: readonly LayerSensitivity[];
  /** Convolutions that are left out. */
  readonly skipped: readonly SkippedLayer[];
}

const { basis } = compressionDefaults;

const DEFAULTS = { images: 256, seed: 0, basis, sparsities: [0.25, 0.5, 0.75, 0.9] } as const;

function badOption(problem: string, expected: string, found: string, advice?: string): PenniError {
  return new PenniError("bad-option", problem, {
    expected,
    found,
    ...(advice === undefined ? {} : { advice }),
  });
}

function checkSettings({ images = 1, basis = 1, ranks = [], sparsities = [] }: SensitivitySettings): void {
  const badCount = [images, basis, ...ranks].find((count) => !Number.isSafeInteger(count) || count < 1);
  if (badCount !== undefined) {
    throw badOption("images, basis and ranks are counted", "whole numbers from 1", `${badCount}`);
  }
  const badShare = sparsities.find((share) => !(share > 0 && share < 1));
  if (badShare !== undefined) {
    throw badOption("a sparsity is no share of the coefficients", "numbers above 0, below 1", `${badShare}`);
  }
}

const LISTED_NAMES = 5;

function matcher(pattern: string): (layer: SurveyedLayer) => boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`);
  return ({ name, weight }) => expression.test(name) || expression.test(weight);
}

function chosenLayers(
  layers: readonly SurveyedLayer[],
  patterns: readonly string[] | undefined,
): readonly SurveyedLayer[] {
  if (patterns === undefined) return layers;
  for (const pattern of patterns) {
    if (layers.some(matcher(pattern))) continue;
    const names = layers.slice(0, LISTED_NAMES).map(({ name }) => name);
    const more = layers.length - names.length;
    throw badOption(
      "no layer has this name",
      [...names, ...(more > 0 ? [`${more} more`] : [])].join(", "),
      `"${pattern}"`,
      'See penni inspect for the names of layers; "*" stands for anything',
    );
  }
  const matchers = patterns.map(matcher);
  return layers.filter((layer) => matchers.some((matches) => matches(layer)));
}

const ascending = (numbers: readonly number[]): readonly number[] =>
  [...new Set(numbers)].sort((a, b) => a - b);

/** All changes of a layer: ranks first. */
function variantsOf(layer: SurveyedLayer, { ranks, sparsities }: SensitivitySettings): readonly Variant[] {
  const { fullRank = 0, basis } = layer;
  const tried = ranks === undefined ? layer.ranks : ascending(ranks).filter((d) => d < fullRank);
  return [
    ...tried.map((d) => ({ basis: d, sparsity: 0 })),
    ...ascending(sparsities ?? DEFAULTS.sparsities).map((sparsity) => ({ basis, sparsity })),
  ];
}

/**
 * How much each convolution matters: the whole network's accuracy on some images, or how far its outputs move, when
 * one layer alone gets a basis of d kernels or loses its smallest coefficients, for several d and sparsities. Nothing
 * is retrained. Layers that share a weight count as one.
 * @param imported a network after `importModel`; one image input, any outputs (those that are float32 are compared)
 * @param split images to run: training images, as what is found here guides choices
 * @throws PenniError "bad-option" for a setting or a layer's name that does not fit, "bad-data" if images, labels and
 *   network do not fit, "unsupported" if there is nothing to change or to compare, "interrupted" when `signal` is
 *   aborted.
 */
export async function measureSensitivity(
  imported: Graph,
  split: Split,
  preprocessing: Preprocessing,
  settings: SensitivitySettings = {},
): Promise<Sensitivity> {
  checkSettings(settings);
  const graph = float32Interface(imported);
  const { images = DEFAULTS.images, seed = DEFAULTS.seed, basis = DEFAULTS.basis } = settings;
  const { layers, skipped } = surveyedLayers(graph, basis);
  if (layers.length === 0) throw nothingToChange(skipped);
  const chosen = chosenLayers(layers, settings.layers);
  const variants = chosen.flatMap((layer) =>
    variantsOf(layer, settings).map((variant) => ({ layer, variant })),
  );
  const indices = sampleIndices(allIndices(split), images, seed);
  const survey = new Survey({ graph, split, preprocessing, indices, ...settings });
  const found = await survey.run(variants);
  return {
    measure: found.original.top1 === undefined ? "error" : "accuracy",
    images: found.images,
    outputs: found.outputs,
    original: { top1: found.original.top1 },
    layers: chosen.map((layer) => gather(layer, found.changes, found.original)),
    skipped,
  };
}

function nothingToChange(skipped: readonly SkippedLayer[]): PenniError {
  const reasons = [...new Set(skipped.map(({ reason }) => reason))];
  return new PenniError("unsupported", "the model has no convolution that Penni would change", {
    expected: "a convolution with a constant float32 weight",
    found: reasons.join("; ") || "no convolution",
    advice: "penni inspect lists what there is",
  });
}

function gather(
  layer: SurveyedLayer,
  changes: ReadonlyMap<SurveyedVariant, OutputChange>,
  original: OutputChange,
): LayerSensitivity {
  const effect = (change: OutputChange): Effect => ({
    ...change,
    difference: subtract(change.top1, original.top1),
  });
  const own = [...changes].filter(([surveyed]) => surveyed.layer === layer);
  const ranks = own.flatMap(([{ variant }, change]) =>
    variant.sparsity === 0 && variant.basis !== undefined ? [{ d: variant.basis, ...effect(change) }] : [],
  );
  const exact = layer.fullRank === undefined ? [] : [{ d: layer.fullRank, ...effect(original) }];
  const sparsities = own.flatMap(
    ([
      {
        variant: { sparsity },
      },
      change,
    ]) => (sparsity > 0 ? [{ sparsity, ...effect(change) }] : []),
  );
  return {
    name: layer.name,
    weightDims: layer.dims,
    ranks: [...ranks, ...exact],
    basis: layer.basis,
    sparsities,
  };
}

function subtract(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a - b;
}
