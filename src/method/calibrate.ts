import { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { linkGraph } from "../graph/links.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { countNonZeros, float32Tensor } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import { countGraph, type GraphCount } from "../measure/count.js";
import { combined, type LayerMoments, type MomentsRequest } from "../measure/moments.js";
import type { Factors } from "./basis.js";
import { allocate, type LayerChoice, type LayerOption, layerForms } from "./calibrate/allocation.js";
import { biasFor, withLayer } from "./calibrate/apply.js";
import type { BasisProblem } from "./calibrate/basis_fit.js";
import {
  basisOf,
  type Candidate,
  candidateOf,
  isOnBasis,
  keptOption,
  presentSupports,
  problemsOf,
} from "./calibrate/candidates.js";
import { type Cut, CutSequence, planCuts } from "./calibrate/cuts.js";
import {
  type BasisFit,
  denseKernels,
  fitBasis,
  fitOnSupports,
  fitSparse,
  fittedKernels,
  type SparseFit,
} from "./calibrate/fit.js";
import { iterativeSolver, type MatrixProduct } from "./calibrate/iterative_solver.js";
import { type CalibrationJournal, remembered } from "./calibrate/journal.js";
import { type CalibrationLayer, calibrationLayers } from "./calibrate/layers.js";
import {
  type OutputSample,
  sampleOutputs,
  standingForAll,
  withSampledKernels,
} from "./calibrate/output_sample.js";
import { expectedWork, type WorkImages, WorkMeter } from "./calibrate/progress.js";
import type { CoefficientSolver } from "./calibrate/solver.js";
import { pairOf, targetOf } from "./calibrate/targets.js";
import { type PresentForm, presentForm, waysToCompute } from "./calibrate/ways.js";
import { withFactors } from "./decompose.js";
import { layerName } from "./inspect.js";
import { checkReachable } from "./prune.js";

/** What calibration needs of a runtime and of images. */
export interface CalibrationRuntime {
  /** For each request, for each group of the convolution. The network's batch is the runtime's to choose. */
  moments(network: Graph, requests: readonly MomentsRequest[]): Promise<readonly (readonly LayerMoments[])[]>;
  /**
   * For each of some replacements of the same initializers: how far the original's outputs move; 0 for none. Those
   * that settled values depend on may not be replaced.
   */
  outputErrors(replacements: readonly ReadonlyMap<string, Tensor>[]): Promise<readonly number[]>;
  /**
   * From now on these values are taken as this network computes them, under their names, by all networks: only what
   * comes after them is run. Those that were settled before and are not named no longer are.
   */
  settle(network: Graph, values: readonly string[]): Promise<void>;
  /** Float32 elements of settled values for each image that there is memory for. */
  readonly roomPerImage: number;
  /** How many images moments are made from, and how many errors of outputs. */
  readonly images: WorkImages;
  /** For layers too wide for exact solutions. */
  readonly product: MatrixProduct;
}

export interface CalibrationOptions {
  /** Basis kernels of every layer that can have so many; "auto" chooses for each layer, dense included. */
  readonly basis: number | "auto";
  /** Bases and coefficients that layers came with, by the names of their weights (see `mergeDecompositions`). */
  readonly factors?: ReadonlyMap<string, Factors>;
  readonly onProgress?: (progress: CalibrationProgress) => void;
  readonly signal?: AbortSignal;
  /** Of this network, these images and these options; without one, a calibration that is stopped starts again. */
  readonly journal?: CalibrationJournal;
}

export interface TargetedCalibration extends CalibrationOptions {
  /** Multiply-accumulates to reach (paper count), as a fraction of the original's; in (0, 1]. */
  readonly fraction: number;
}

export interface CalibrationProgress {
  readonly step: "analyse" | "fit";
  /** Layers done and to do in this step. */
  readonly done: number;
  readonly total: number;
  /** The layer that comes next. */
  readonly layer: string;
  /** Expected work that is done, over all steps; 0 to 1. */
  readonly share: number;
  /** Seconds that the rest will take; undefined as long as nothing has been timed. */
  readonly secondsLeft: number | undefined;
}

/** What became of a layer. */
export interface CalibratedLayer {
  readonly name: string;
  /** Basis kernels; 0 where the layer keeps its kernels. */
  readonly d: number;
  /** Coefficients (or weights) that are not zero, as a share of all. */
  readonly density: number;
  /** Multiply-accumulates (paper count) as a share of the layer's dense ones. */
  readonly macs: number;
}

export interface Calibration {
  readonly graph: Graph;
  readonly layers: readonly CalibratedLayer[];
}

/** What `analyseLayers` found. */
export interface CalibrationAnalysis {
  readonly layers: readonly AnalysedLayer[];
  /** Multiply-accumulates for one image (paper count) of what is in no layer. */
  readonly otherMacs: number;
  /** At the end of the analysis. */
  readonly meter: WorkMeter;
}

/** A layer with all ways to compute it. */
interface AnalysedLayer {
  readonly layer: CalibrationLayer;
  readonly name: string;
  readonly denseMacs: number;
  readonly present: PresentForm;
  readonly options: readonly LayerOption[];
}

/** What else may help where a target cannot be reached. */
export function otherWays(basis: CalibrationOptions["basis"]): string {
  return basis === "auto" ? "as no smaller basis is tried" : "a smaller --basis, or --basis auto";
}

/** What the keys of what does not depend on the fraction begin with in a journal. */
export const ANALYSIS = "analysis-";

/** Shares of the coefficients that are removed to see what a layer's error does to the network's outputs. */
const PROBES: readonly number[] = [0.4, 0.7];

/**
 * Compresses a network from unlabelled images alone, without back-propagation (design.md, section 1): for each layer
 * a basis chosen by what the layer's inputs are like, coefficients removed one at a time by what their removal adds
 * to the error of the layer's *output*, all others compensating; how much of each layer goes is decided by what its
 * error does to the network's outputs. Layers are fitted in order, on the inputs that the compressed network gives
 * them, so that each corrects its predecessors; where a result is added to another, it corrects that too.
 *
 * The graph must be simplified (`simplify`), with float32 weights. The result has `decompose`'s form, with zeros.
 * @throws PenniError "bad-option" if the fraction cannot be reached, "interrupted" when the signal is aborted
 */
export async function calibrate(
  graph: Graph,
  runtime: CalibrationRuntime,
  options: TargetedCalibration,
): Promise<Calibration> {
  const analysis = await analyseLayers(graph, runtime, options);
  return calibrateTo(options.fraction, graph, analysis, runtime, options);
}

/** All ways to compute each layer of a network, with their costs and errors: the same for every fraction. */
export async function analyseLayers(
  graph: Graph,
  runtime: CalibrationRuntime,
  options: CalibrationOptions,
): Promise<CalibrationAnalysis> {
  const count = countGraph(fixBatch(graph, 1));
  const { layers, otherMacs } = layersAsTheyAre(graph, count, options.factors);
  const macs = new Map(count.layers.map((layer) => [layer.node.outputs[0], layer.executedMacs]));
  await runtime.settle(graph, []);
  const cuts = new CutSequence(cutsOf(graph, layers, runtime), (cut) => runtime.settle(graph, cut));
  const meter = new WorkMeter(expectedWork(graph, layers, macs, runtime.images, options.basis));
  const analysed: AnalysedLayer[] = [];
  for (const [index, { layer, denseMacs, present }] of layers.entries()) {
    const name = nameOf(layer);
    report(options, meter, { step: "analyse", done: index, total: layers.length, layer: name });
    const ways =
      layer.sparsity === "none"
        ? [keptOption(present)]
        : await remembered(options.journal, `${ANALYSIS}${index}`, layerOptionsSchema, () =>
            meter.time("analyse", index, async () => {
              await cuts.reach(index);
              return analyseLayer(graph, runtime, options, layer, present);
            }),
          );
    meter.finish("analyse", index);
    analysed.push({ layer, name, denseMacs, present, options: ways });
  }
  return { layers: analysed, otherMacs, meter };
}

/** Where both networks are cut in front of each layer. */
function cutsOf(
  graph: Graph,
  layers: readonly Pick<AnalysedLayer, "layer">[],
  { roomPerImage }: CalibrationRuntime,
): readonly Cut[] {
  return planCuts(
    graph,
    layers.flatMap(({ layer: { convs } }) => convs[0] ?? []),
    roomPerImage / 2,
  );
}

/** The layers that calibration fits as they come in, and what everything else costs. */
function layersAsTheyAre(
  graph: Graph,
  count: GraphCount,
  factors: CalibrationOptions["factors"],
): {
  readonly layers: readonly Pick<AnalysedLayer, "layer" | "denseMacs" | "present">[];
  readonly otherMacs: number;
} {
  const counts = new Map(count.layers.map((layer) => [layer.node.outputs[0], layer]));
  let otherMacs = count.paperMacs;
  const layers = calibrationLayers(graph).map((layer) => {
    const own = layer.convs.flatMap((conv) => counts.get(conv.outputs[0]) ?? []);
    const denseMacs = own.reduce((sum, { executedMacs }) => sum + executedMacs, 0);
    otherMacs -= own.reduce((sum, { paperMacs }) => sum + paperMacs, 0);
    return { layer, denseMacs, present: presentForm(layer, denseMacs, factors?.get(layer.weight)) };
  });
  return { layers, otherMacs };
}

/**
 * The smallest fraction of a network's multiply-accumulates (paper count) that calibration can reach, found without
 * images.
 */
export function leastFraction(
  graph: Graph,
  { basis, factors }: Pick<CalibrationOptions, "basis" | "factors">,
): number {
  const { layers, otherMacs } = layersAsTheyAre(graph, countGraph(fixBatch(graph, 1)), factors);
  const ways = layers.map(({ layer, present }) => waysToCompute(layer, present, basis));
  return leastOf(ways, otherMacs, presentMacs({ layers, otherMacs }));
}

function leastOf(
  ways: readonly (readonly Pick<LayerOption, "fixedMacs">[])[],
  otherMacs: number,
  original: number,
): number {
  const least = ways.reduce(
    (sum, options) => sum + Math.min(...options.map(({ fixedMacs }) => fixedMacs)),
    otherMacs,
  );
  return original === 0 ? 0 : least / original;
}

/** Multiply-accumulates of the original for one image (paper count). */
function presentMacs({
  layers,
  otherMacs,
}: {
  readonly layers: readonly Pick<AnalysedLayer, "present">[];
  readonly otherMacs: number;
}): number {
  return layers.reduce((sum, { present }) => sum + present.macs, otherMacs);
}

/** `calibrate`, for a network that is analysed already. */
export function calibrateTo(
  fraction: number,
  graph: Graph,
  analysis: CalibrationAnalysis,
  runtime: CalibrationRuntime,
  options: CalibrationOptions,
): Promise<Calibration> {
  const { layers, otherMacs, meter } = analysis;
  const original = presentMacs(analysis);
  const ways = layers.map((layer) => layer.options);
  checkReachable(fraction, leastOf(ways, otherMacs, original), otherWays(options.basis));
  const choices = allocate(ways, fraction * original - otherMacs);
  return fitInOrder(graph, runtime, options, layers, choices, meter.copy());
}

async function analyseLayer(
  graph: Graph,
  runtime: CalibrationRuntime,
  options: CalibrationOptions,
  layer: CalibrationLayer,
  present: PresentForm,
): Promise<readonly LayerOption[]> {
  const requests = layer.convs.map((conv) => ({
    conv,
    input: conv.inputs[0] ?? "",
    target: conv.outputs[0] ?? "",
  }));
  const ways = waysToCompute(layer, present, options.basis);
  const sparse = ways.filter(({ form }) => form !== "kept");
  if (sparse.length === 0) return [keptOption(present)];
  const sample = sampleOutputs(layer, combinedGroups(await runtime.moments(graph, requests)), present);
  const wide = iterativeSolver(runtime.product);
  const candidates: Candidate[] = [];
  for (const way of sparse) {
    await breathe(options, nameOf(layer));
    candidates.push(await candidateOf(sample.layer, sample.moments, sample.present, way, wide));
  }
  const scale = await outputScale(runtime, layer, sample, candidates);
  const kept = sparse.length < ways.length ? [keptOption(present)] : [];
  return [...kept, ...candidates.map(({ option }) => standingForAll(scaled(option, scale), sample))];
}

/** Group by group over the convolutions that share a weight. */
function combinedGroups(byConv: readonly (readonly LayerMoments[])[]): readonly LayerMoments[] {
  const [first = []] = byConv;
  return first.map((_, group) => combined(byConv.flatMap((groups) => groups[group] ?? [])));
}

/** What one unit of a layer's weighted squared error does to the error of the network's outputs. */
async function outputScale(
  runtime: CalibrationRuntime,
  layer: CalibrationLayer,
  { outputs: sampled }: OutputSample,
  candidates: readonly Candidate[],
): Promise<number> {
  const middle = candidates[Math.floor((candidates.length - 1) / 2)];
  if (middle === undefined) return 0;
  const replacements: ReadonlyMap<string, Tensor>[] = [];
  let errors = 0;
  for (const share of PROBES) {
    const kept = middle.alive.map((count) => count - Math.round(share * count));
    const kernels = fittedKernels(
      await fitSparse(middle.groups, middle.fit, kept, iterativeSolver(runtime.product), 0),
    );
    const weight = float32Tensor(
      [layer.K, layer.C, layer.R, layer.S],
      withSampledKernels(layer, sampled, kernels),
    );
    replacements.push(new Map([[layer.weight, weight]]));
    errors += middle.option.rows.reduce((sum, { base, added }, k) => {
      const removed = added.length - (kept[k] ?? 0);
      return sum + base + (added[removed - 1] ?? 0);
    }, 0);
  }
  const outputs = (await runtime.outputErrors(replacements)).reduce((sum, error) => sum + error, 0);
  return errors > 0 ? Math.max(outputs / errors, Number.MIN_VALUE) : 0;
}

function scaled(option: LayerOption, scale: number): LayerOption {
  const rows = option.rows.map(({ base, added }) => ({
    base: scale * base,
    added: added.map((value) => scale * value),
  }));
  return { ...option, rows };
}

async function fitInOrder(
  graph: Graph,
  runtime: CalibrationRuntime,
  options: CalibrationOptions,
  analysed: readonly AnalysedLayer[],
  choices: readonly LayerChoice[],
  meter: WorkMeter,
): Promise<Calibration> {
  const links = linkGraph(graph);
  const factors = new Map<string, SparseFit>();
  const calibrated: CalibratedLayer[] = [];
  let current = graph;
  let spared = 0;
  await runtime.settle(graph, []);
  const cuts = new CutSequence(cutsOf(graph, analysed, runtime), (cut) => {
    const pair = pairOf(graph, current);
    return runtime.settle(pair.graph, [...cut, ...cut.map(pair.originalName)]);
  });
  for (const [index, { layer, name, denseMacs, present, options: ways }] of analysed.entries()) {
    report(options, meter, { step: "fit", done: index, total: analysed.length, layer: name });
    const choice = choices[index];
    const way = ways[choice?.option ?? 0] ?? keptOption(present);
    const { kernels, fit, biases } = await remembered(
      options.journal,
      `fit-${index}`,
      fittedLayerSchema,
      () =>
        meter.time("fit", index, async () => {
          await cuts.reach(index);
          const moments: (readonly LayerMoments[])[] = [];
          for (const conv of layer.convs) {
            const target = targetOf(pairOf(graph, current), links, conv, layer);
            const request = { conv, input: conv.inputs[0] ?? "", target: target.value };
            moments.push(...(await runtime.moments(target.pair.graph, [request])));
          }
          return fitLayer(layer, present, way, choice, moments, runtime);
        }),
    );
    meter.finish("fit", index);
    const isDecomposed = isOnBasis(way.form) || (way.form === "kept" && present.basis !== undefined);
    if (fit !== undefined && isDecomposed) factors.set(layer.weight, fit);
    const values = fit === undefined ? kernels : Float32Array.from(fit.coefs);
    const nonZeros = countNonZeros(values);
    spared += present.parameters - nonZeros - (isDecomposed ? (fit?.basis.length ?? 0) : 0);
    const withBiases = withLayer(current, layer, kernels, biases, spared);
    current = withBiases.graph;
    spared -= withBiases.added;
    calibrated.push({
      name,
      d: isDecomposed ? (fit?.d ?? 0) : 0,
      density: nonZeros / values.length,
      macs: (choice?.macs ?? present.macs) / denseMacs,
    });
  }
  await runtime.settle(graph, []);
  const result = withFactors(current, ({ weight }) => {
    const fit = factors.get(weight);
    return fit === undefined
      ? undefined
      : { coefs: Float32Array.from(fit.coefs), basis: Float32Array.from(fit.basis) };
  });
  return { graph: result, layers: calibrated };
}

/** A layer's new kernels, and the bias of each of its convolutions. */
interface FittedLayer {
  /** [K, C, R, S]. */
  readonly kernels: Float32Array;
  /** Undefined where the layer stays dense. */
  readonly fit?: SparseFit | undefined;
  readonly biases: readonly Float64Array[];
}

async function fitLayer(
  layer: CalibrationLayer,
  present: PresentForm,
  way: LayerOption,
  choice: LayerChoice | undefined,
  moments: readonly (readonly LayerMoments[])[],
  runtime: CalibrationRuntime,
): Promise<FittedLayer> {
  const wide = iterativeSolver(runtime.product);
  const fit =
    way.form === "kept"
      ? await fitAsItIs(layer, present, combinedGroups(moments), wide)
      : await fitFewer(layer, present, way, choice, combinedGroups(moments), wide);
  const kernels =
    fit === undefined
      ? await denseKernels(problemsOf(layer, combinedGroups(moments), false), wide)
      : fittedKernels(fit);
  return { kernels, fit, biases: moments.map((own) => biasFor(own, kernels)) };
}

async function fitFewer(
  layer: CalibrationLayer,
  present: PresentForm,
  { form, d }: LayerOption,
  choice: LayerChoice | undefined,
  moments: readonly LayerMoments[],
  wide: CoefficientSolver,
): Promise<SparseFit> {
  const groups = problemsOf(layer, moments, isOnBasis(form));
  return fitKept(groups, await fitBasis(groups, d, wide, basisOf(form, present)), choice, layer, wide);
}

/** What a layer has of coefficients or weights, fitted anew; undefined for kernels without a zero. */
async function fitAsItIs(
  layer: CalibrationLayer,
  present: PresentForm,
  moments: readonly LayerMoments[],
  wide: CoefficientSolver,
): Promise<SparseFit | undefined> {
  const { basis: own, nonZeros, values } = present;
  if (own === undefined && nonZeros === values.length) return undefined;
  const groups = problemsOf(layer, moments, own !== undefined);
  const basis = own === undefined ? Float64Array.of(1) : Float64Array.from(own);
  const d = own === undefined ? 1 : basis.length / (layer.R * layer.S);
  return fitOnSupports(groups, { d, basis }, presentSupports(layer, present), wide);
}

const float64 = z.instanceof(Float64Array);

/** In a journal. */
const layerOptionsSchema: z.ZodType<readonly LayerOption[]> = z.array(
  z.object({
    form: z.enum(layerForms),
    d: z.number(),
    fixedMacs: z.number(),
    macsPerCoefficient: z.number(),
    most: z.number(),
    rows: z.array(z.object({ base: z.number(), added: float64 })),
  }),
);

/** In a journal. */
const fittedLayerSchema: z.ZodType<FittedLayer> = z.object({
  kernels: z.instanceof(Float32Array),
  fit: z.object({ d: z.number(), basis: float64, coefs: float64 }).optional(),
  biases: z.array(float64),
});

/** As many coefficients as were decided for the layer, distributed anew over its outputs. */
function fitKept(
  groups: readonly BasisProblem[],
  fit: BasisFit,
  choice: LayerChoice | undefined,
  layer: CalibrationLayer,
  wide: CoefficientSolver,
): Promise<SparseFit> {
  const { kept = [] } = choice ?? {};
  // Each of the outputs that were looked at stands for as many of the layer.
  const each = fit.rows.length / Math.max(1, kept.length);
  const wanted = Math.floor(each * kept.reduce((sum, count) => sum + count, 0) + 1e-6);
  const rows = fit.rows.map(({ path }, k) => {
    const importance = layer.importance[k] ?? 0;
    return { base: 0, added: path.error.map((value) => importance * value) };
  });
  const unlimited = Number.POSITIVE_INFINITY;
  const unit = { form: "weights", d: fit.d, fixedMacs: 0, macsPerCoefficient: 1, most: unlimited } as const;
  const [again] = allocate([[{ ...unit, rows }]], wanted);
  return fitSparse(groups, fit, again?.kept ?? [], wide);
}

function nameOf({ convs }: CalibrationLayer): string {
  const [conv] = convs;
  return conv === undefined ? "" : layerName(conv);
}

function report(
  options: CalibrationOptions,
  { share, secondsLeft }: WorkMeter,
  progress: Omit<CalibrationProgress, "share" | "secondsLeft">,
): void {
  checkSignal(options, progress.layer);
  options.onProgress?.({ ...progress, share, secondsLeft });
}

/** Lets others (Ctrl-C) have their turn: fitting a layer takes seconds. */
async function breathe(options: CalibrationOptions, layer: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  checkSignal(options, layer);
}

function checkSignal({ signal }: CalibrationOptions, layer: string): void {
  if (signal?.aborted !== true) return;
  throw new PenniError("interrupted", `stopped while calibrating, at layer "${layer}"`);
}
