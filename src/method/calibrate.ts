import { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { linkGraph } from "../graph/links.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { float32Tensor } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import { countGraph } from "../measure/count.js";
import { combined, type LayerMoments, type MomentsRequest } from "../measure/moments.js";
import { allocate, type LayerChoice, type LayerOption } from "./calibrate/allocation.js";
import { biasFor, withLayer } from "./calibrate/apply.js";
import type { BasisProblem } from "./calibrate/basis_fit.js";
import { basisSizes, type Candidate, candidateOf, problemsOf, usableSizes } from "./calibrate/candidates.js";
import { type Cut, CutSequence, planCuts } from "./calibrate/cuts.js";
import {
  type BasisFit,
  denseKernels,
  fitBasis,
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
import { withFactors } from "./decompose.js";
import { layerName } from "./inspect.js";

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
  /** Multiply-accumulates of the original for one image. */
  readonly macs: number;
  /** At the end of the analysis. */
  readonly meter: WorkMeter;
}

/** A layer with all ways to compute it. Option 0 is the dense one unless a basis size is asked for. */
interface AnalysedLayer {
  readonly layer: CalibrationLayer;
  readonly name: string;
  readonly denseMacs: number;
  readonly options: readonly LayerOption[];
}

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
  const macs = new Map(count.layers.map((layer) => [layer.node.outputs[0], layer.executedMacs]));
  const layers = calibrationLayers(graph);
  await runtime.settle(graph, []);
  const cuts = new CutSequence(cutsOf(graph, layers, runtime), (cut) => runtime.settle(graph, cut));
  const meter = new WorkMeter(expectedWork(graph, layers, macs, runtime.images, options.basis));
  const analysed: AnalysedLayer[] = [];
  for (const [index, layer] of layers.entries()) {
    const name = nameOf(layer);
    report(options, meter, { step: "analyse", done: index, total: layers.length, layer: name });
    const denseMacs = layer.convs.reduce((sum, conv) => sum + (macs.get(conv.outputs[0]) ?? 0), 0);
    const sparse =
      layer.sparsity === "none"
        ? []
        : await remembered(options.journal, `analysis-${index}`, layerOptionsSchema, () =>
            meter.time("analyse", index, async () => {
              await cuts.reach(index);
              return analyseLayer(graph, runtime, options, layer, denseMacs);
            }),
          );
    meter.finish("analyse", index);
    const isForced = options.basis !== "auto" && layer.sparsity === "basis" && sparse.length > 0;
    const dense: LayerOption = { d: 0, fixedMacs: denseMacs, macsPerCoefficient: 0, rows: [] };
    analysed.push({ layer, name, denseMacs, options: isForced ? sparse : [dense, ...sparse] });
  }
  return { layers: analysed, macs: count.executedMacs, meter };
}

/** Where both networks are cut in front of each layer. */
function cutsOf(
  graph: Graph,
  layers: readonly CalibrationLayer[],
  { roomPerImage }: CalibrationRuntime,
): readonly Cut[] {
  return planCuts(
    graph,
    layers.flatMap(({ convs }) => convs[0] ?? []),
    roomPerImage / 2,
  );
}

/** `calibrate`, for a network that is analysed already. */
export function calibrateTo(
  fraction: number,
  graph: Graph,
  { layers, macs, meter }: CalibrationAnalysis,
  runtime: CalibrationRuntime,
  options: CalibrationOptions,
): Promise<Calibration> {
  const others = macs - layers.reduce((sum, layer) => sum + layer.denseMacs, 0);
  const ways = layers.map((layer) => layer.options);
  const choices = allocate(ways, fraction * macs - others);
  return fitInOrder(graph, runtime, options, layers, choices, meter.copy());
}

async function analyseLayer(
  graph: Graph,
  runtime: CalibrationRuntime,
  options: CalibrationOptions,
  layer: CalibrationLayer,
  denseMacs: number,
): Promise<readonly LayerOption[]> {
  const requests = layer.convs.map((conv) => ({
    conv,
    input: conv.inputs[0] ?? "",
    target: conv.outputs[0] ?? "",
  }));
  const sample = sampleOutputs(layer, combinedGroups(await runtime.moments(graph, requests)));
  const groups = problemsOf(sample.layer, sample.moments);
  const sizes = options.basis === "auto" ? basisSizes(layer.R * layer.S) : [options.basis];
  const positions = denseMacs / layer.original.length;
  const wide = iterativeSolver(runtime.product);
  const candidates: Candidate[] = [];
  for (const d of usableSizes(layer, sizes)) {
    await breathe(options, nameOf(layer));
    candidates.push(await candidateOf(sample.layer, groups, positions, d, wide));
  }
  const scale = await outputScale(runtime, layer, sample, groups, candidates);
  return candidates.map(({ option }) => standingForAll(scaled(option, scale), sample));
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
  groups: readonly BasisProblem[],
  candidates: readonly Candidate[],
): Promise<number> {
  const middle = candidates[Math.floor((candidates.length - 1) / 2)];
  if (middle === undefined) return 0;
  const replacements: ReadonlyMap<string, Tensor>[] = [];
  let errors = 0;
  for (const share of PROBES) {
    const kept = middle.option.rows.map(({ added }) => added.length - Math.round(share * added.length));
    const kernels = fittedKernels(
      await fitSparse(groups, middle.fit, kept, iterativeSolver(runtime.product), 0),
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
  const layers = analysed.map(({ layer }) => layer);
  await runtime.settle(graph, []);
  const cuts = new CutSequence(cutsOf(graph, layers, runtime), (cut) => {
    const pair = pairOf(graph, current);
    return runtime.settle(pair.graph, [...cut, ...cut.map(pair.originalName)]);
  });
  for (const [index, { layer, name, denseMacs, options: ways }] of analysed.entries()) {
    report(options, meter, { step: "fit", done: index, total: analysed.length, layer: name });
    const choice = choices[index];
    const d = ways[choice?.option ?? 0]?.d ?? 0;
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
          return fitLayer(layer, d, choice, moments, runtime);
        }),
    );
    meter.finish("fit", index);
    if (fit !== undefined && layer.sparsity === "basis") factors.set(layer.weight, fit);
    current = withLayer(current, layer, kernels, biases);
    const values: ArrayLike<number> = fit?.coefs ?? kernels;
    calibrated.push({
      name,
      d: layer.sparsity === "basis" ? d : 0,
      density: density(values),
      macs: (choice?.macs ?? denseMacs) / denseMacs,
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
  d: number,
  choice: LayerChoice | undefined,
  moments: readonly (readonly LayerMoments[])[],
  runtime: CalibrationRuntime,
): Promise<FittedLayer> {
  const groups = problemsOf(layer, combinedGroups(moments));
  const wide = iterativeSolver(runtime.product);
  const fit =
    d === 0 ? undefined : await fitKept(groups, await fitBasis(groups, d, wide), choice, layer, wide);
  const kernels = fit === undefined ? await denseKernels(groups, wide) : fittedKernels(fit);
  return { kernels, fit, biases: moments.map((own) => biasFor(own, kernels)) };
}

const float64 = z.instanceof(Float64Array);

/** In a journal. */
const layerOptionsSchema: z.ZodType<readonly LayerOption[]> = z.array(
  z.object({
    d: z.number(),
    fixedMacs: z.number(),
    macsPerCoefficient: z.number(),
    rows: z.array(z.object({ base: z.number(), added: float64 })),
  }),
);

/** In a journal. */
const fittedLayerSchema: z.ZodType<FittedLayer> = z.object({
  kernels: z.instanceof(Float32Array),
  fit: z.object({ d: z.number(), basis: float64, coefs: float64 }).optional(),
  biases: z.array(float64),
});

/** Share of the values that are not zero. */
function density(values: ArrayLike<number>): number {
  let nonZeros = 0;
  for (let index = 0; index < values.length; index++) if (values[index] !== 0) nonZeros += 1;
  return nonZeros / values.length;
}

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
  const [again] = allocate([[{ d: fit.d, fixedMacs: 0, macsPerCoefficient: 1, rows }]], wanted);
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
