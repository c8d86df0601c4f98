import { rm } from "node:fs/promises";
import { batches, planEvaluation } from "../../data/batches.js";
import type { Dataset } from "../../data/dataset.js";
import { holdOut, sampleIndices } from "../../data/hold_out.js";
import { openDataset } from "../../data/open.js";
import { imageDims, type Preprocessing } from "../../data/preprocessing.js";
import { withInitializers } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { classifierInterface, inputImageSize } from "../../measure/accuracy.js";
import { checkClassCount } from "../../measure/classes.js";
import { countGraph } from "../../measure/count.js";
import { measureLatency } from "../../measure/latency.js";
import { channelMoments, type Moments } from "../../measure/statistics.js";
import { readModel, writeModel } from "../../onnx/files.js";
import { encodeModel } from "../../onnx/write.js";
import { hasHalfWeights } from "../../ops/passes/float16.js";
import { foldNormalization } from "../../ops/passes/fold_normalization.js";
import { leastFraction, otherWays } from "../calibrate.js";
import { pruneChannels, readValues } from "../channels/prune.js";
import { decompose } from "../decompose.js";
import { COMPRESSION_KEY, exportModel } from "../export.js";
import { importForCompression } from "../import_for_compression.js";
import { insertNormalization, normalizationSites } from "../insert_normalization.js";
import { mergeDecompositions } from "../merge_decompositions.js";
import { checkReachable, nonZeroLimits, pruneCoefficients, pruneToMacs } from "../prune.js";
import { shrink } from "../shrink.js";
import { calibrateStage } from "./calibrate_stage.js";
import { RunCalibrationJournal } from "./calibration_journal.js";
import { fixedBasis, hasTraining, type RunConfig, type Settings } from "./config.js";
import type { RunContext, RunListener, StageName } from "./context.js";
import type { RunDirectory } from "./directory.js";
import { describeFrozen, frozenIn, sparing } from "./frozen.js";
import { describeLabels, outputNames } from "./labels.js";
import { RunLock } from "./lock.js";
import { growth, refuseLarger } from "./never_larger.js";
import { checkExport, costsOf, counts, fileCounts, summarize } from "./outcome.js";
import { describeMatching } from "./outputs.js";
import { recordedTraining } from "./recorded_training.js";
import { joinRest } from "./rest.js";
import type { Summary } from "./summary.js";
import { LATENCY_THREADS } from "./timings.js";
import { fineTunePlan, recoveryPlan, retrainPlan } from "./training_plans.js";

export type { RunListener, StageName } from "./context.js";

interface Stage {
  readonly name: StageName;
  /** The network after the stage, from the network before it. */
  readonly apply: (graph: Graph, context: RunContext) => Promise<Graph> | Graph;
  /** Whether a run has no such stage. */
  readonly isLeftOut?: (settings: Settings) => boolean;
  /** Removes what the stage kept for being resumed. */
  readonly tidy?: (run: RunDirectory) => Promise<void>;
}

/** The method, in order. Each stage's result is kept in `stages/`, and a resumed run skips what is there. */
const stages: readonly Stage[] = [
  { name: "simplify", apply: (graph) => importForCompression(graph) },
  { name: "normalize", apply: normalizeStage },
  { name: "channels", isLeftOut: withoutChannels, apply: channelStage },
  { name: "recover", isLeftOut: withoutChannels, apply: recoverStage },
  { name: "decompose", apply: decomposeStage, tidy: (run) => RunCalibrationJournal.remove(run) },
  { name: "retrain", apply: retrainStage },
  { name: "prune", apply: pruneStage },
  { name: "fine-tune", apply: fineTuneStage },
  {
    name: "shrink",
    apply: (graph, { run }) => shrink(graph, { multiple: run.config.settings.channelMultiple }),
  },
  { name: "export", apply: exportStage },
];

const STATISTICS_IMAGES = 512;

/**
 * Runs (or resumes) the whole compression in a run directory that holds `stages/original.onnx`, and returns
 * its figures. The test images are used once, at the end, after every choice is made.
 * @throws PenniError "io" if another process works in the directory; "interrupted" when `signal` is aborted; what
 *   the stages throw
 */
export async function compress(
  run: RunDirectory,
  listener: RunListener = {},
  signal?: AbortSignal,
): Promise<Summary> {
  const lock = await RunLock.acquire(run.root, (text) => listener.notice?.(text));
  try {
    await run.restore();
    return await compressLocked({ run, lock, listener, signal });
  } finally {
    await lock.release();
  }
}

async function compressLocked(given: Omit<RunContext, "dataset">): Promise<Summary> {
  const { run, listener, signal } = given;
  const original = await readModel(run.stagePath("original"));
  const { data, preprocessing, classes } = run.config;
  const dataset = await openFittingDataset(original, data, preprocessing, classes);
  if (run.config.reference !== "original") checkClassCount(original, dataset.classNames?.length);
  const context: RunContext = { ...given, dataset };
  for (const line of [...(dataset.notices ?? []), ...describeLabels(run.config, original, dataset)])
    listener.notice?.(line);
  for (const line of describeMatching(run.config)) listener.notice?.(line);
  for (const line of describeFrozen(frozenIn(importForCompression(original), run.config)))
    listener.notice?.(line);
  let graph = original;
  for (const stage of stages) {
    if (stage.isLeftOut?.(run.config.settings) === true) continue;
    if (signal?.aborted === true) throw new PenniError("interrupted", `stopped before stage "${stage.name}"`);
    listener.stage?.(stage.name);
    const before = graph;
    graph = await run.stage(stage.name, () => stage.apply(before, context));
    await stage.tidy?.(run);
  }
  const { externalData } = run.config;
  const rest = await run.readRest();
  const written = await writeModel(
    run.path("model.onnx"),
    rest === undefined ? graph : joinRest(graph, rest),
    {
      sparse: true,
      ...(externalData === undefined ? {} : { externalData }),
    },
  );
  // What is compared are networks that can be run.
  const bytes = rest === undefined ? written : encodeModel(graph, { sparse: true }).byteLength;
  const grown = await refuseLargerResult(original, { graph, bytes }, run);
  if (grown !== undefined) listener.notice?.(grown);
  listener.stage?.("measure");
  const summary = await summarize(original, { graph, bytes }, context);
  await run.writeJson("summary.json", summary);
  return summary;
}

/**
 * Removes a result that is larger than what came in, in any column, and says so.
 * @returns what is to be told of a file that is larger and small enough for that not to matter
 */
async function refuseLargerResult(
  original: Graph,
  exported: { readonly graph: Graph; readonly bytes: number },
  run: RunDirectory,
): Promise<string | undefined> {
  const { original: before, compressed: after } = costsOf(original, exported, run.config);
  try {
    refuseLarger(before, after);
    return growth(before, after);
  } catch (error) {
    for (const name of ["model.onnx", "model.onnx.data"]) await rm(run.path(name), { force: true });
    throw error;
  }
}

/**
 * The dataset a specification names, if the model takes its images.
 * @param classes names of all classes in the order of the model's outputs, to which labels are matched by name
 */
export async function openFittingDataset(
  model: Graph,
  spec: string,
  preprocessing: Preprocessing,
  classes?: readonly string[],
): Promise<Dataset> {
  const imageSize = inputImageSize(model, preprocessing);
  const dataset = await openDataset(spec, {
    preprocessing,
    ...(imageSize === undefined ? {} : { imageSize }),
    ...(classes === undefined ? {} : { classes }),
  });
  classifierInterface(model, dataset, preprocessing);
  return dataset;
}

/** Gives a network without normalisations some, with the statistics of its convolutions on a few training images. */
async function normalizeStage(graph: Graph, context: RunContext): Promise<Graph> {
  const { settings } = context.run.config;
  const hasSome = graph.nodes.some((node) => node.op === "BatchNormalization");
  if (hasSome || settings.batchNormalization !== "insert" || !hasTraining(settings)) return graph;
  return insertNormalization(graph, await momentsOf(graph, normalizationSites(graph), context));
}

/** Mean and variance by channel of some of a network's values on a few training images. */
async function momentsOf(
  graph: Graph,
  values: readonly string[],
  { run, dataset }: RunContext,
): Promise<ReadonlyMap<string, Moments>> {
  const { settings, preprocessing, seed } = run.config;
  const split = await dataset.train();
  const { train } = holdOut(split, settings.validation, seed);
  const batch = Math.min(settings.batch, train.length);
  const count = Math.max(batch, Math.floor(Math.min(STATISTICS_IMAGES, train.length) / batch) * batch);
  return channelMoments(
    fixBatch(graph, batch),
    values,
    batches(planEvaluation(split, sampleIndices(train, count, seed), { batch, preprocessing })),
    imageDims(split, preprocessing),
    settings.threads,
  );
}

function withoutChannels({ channels }: Settings): boolean {
  return channels === undefined;
}

/** Removes whole channels, those that vary least in front of what reads them. */
async function channelStage(graph: Graph, context: RunContext): Promise<Graph> {
  const { channels, channelMultiple, prune } = context.run.config.settings;
  if (channels === undefined) throw new PenniError("internal", "a run without channels to remove");
  const moments = await momentsOf(graph, readValues(graph), context);
  const variances = new Map([...moments].map(([value, { variance }]) => [value, variance]));
  const narrow = pruneChannels(graph, { fraction: channels.fraction, multiple: channelMultiple, variances });
  if (prune.rule === "macs") checkCoefficientTarget(graph, narrow, context.run.config);
  return narrow;
}

/** Whether removing coefficients can lead to the target, before epochs are spent. */
function checkCoefficientTarget(
  original: Graph,
  narrow: Graph,
  { settings }: Pick<RunConfig, "settings">,
): void {
  const { prune, start, basis } = settings;
  if (prune.rule !== "macs") return;
  const originalMacs = countGraph(fixBatch(original, 1)).paperMacs;
  const share = countGraph(fixBatch(narrow, 1)).paperMacs / originalMacs;
  if (start === "calibrate") {
    const { graph, factors } = mergeDecompositions(narrow);
    checkReachable(prune.fraction, share * leastFraction(graph, { basis, factors }), otherWays(basis));
    return;
  }
  const decomposed = decompose(narrow, { basis: fixedBasis(settings) });
  pruneToMacs(fixBatch(decomposed, 1), { fraction: prune.fraction, originalMacs });
}

function recoverStage(graph: Graph, context: RunContext): Promise<Graph> | Graph {
  const plan = recoveryPlan(graph, context.run);
  return plan === undefined ? graph : recordedTraining(plan, context);
}

/** Bases and coefficients, from the kernels alone or from images. */
function decomposeStage(graph: Graph, context: RunContext): Promise<Graph> | Graph {
  const { settings } = context.run.config;
  if (settings.start === "calibrate") return calibrateStage(graph, context);
  const { frozen } = frozenIn(graph, context.run.config);
  return decompose(graph, { basis: fixedBasis(settings), frozen });
}

async function retrainStage(graph: Graph, context: RunContext): Promise<Graph> {
  const plan = retrainPlan(graph, await readModel(context.run.stagePath("normalize")), context.run);
  return plan === undefined ? graph : recordedTraining(plan, context);
}

function fineTuneStage(graph: Graph, context: RunContext): Promise<Graph> | Graph {
  const plan = fineTunePlan(graph, context.run);
  return plan === undefined ? graph : recordedTraining(plan, context);
}

async function pruneStage(graph: Graph, { run }: RunContext): Promise<Graph> {
  const rule = run.config.settings.prune;
  const scales = sparing(frozenIn(graph, run.config).frozen);
  // With normalizations, which cost nothing by this count, so that values have the same names.
  const original = fixBatch(await readModel(run.stagePath("normalize")), 1);
  const limits = nonZeroLimits(original, fixBatch(graph, 1));
  if (rule.rule === "deviation")
    return pruneCoefficients(graph, { factor: rule.factor, scales, limits }).graph;
  const pruning = pruneToMacs(fixBatch(graph, 1), {
    fraction: rule.fraction,
    originalMacs: countGraph(original).paperMacs,
    scales,
    limits,
  });
  const changed = pruning.layers.flatMap(({ initializer }) => {
    const tensor = pruning.graph.initializers.get(initializer);
    return tensor === undefined ? [] : [[initializer, tensor] as const];
  });
  return withInitializers(graph, changed);
}

async function exportStage(graph: Graph, context: RunContext): Promise<Graph> {
  const { run, dataset } = context;
  const { settings, preprocessing, preset, model, seed, versions } = run.config;
  const original = await readModel(run.stagePath("original"));
  const classNames = outputNames(run.config, original, dataset);
  const isLabelled = run.config.reference !== "original" && classNames !== undefined;
  const exported = await exportModel(graph, {
    original,
    executedLimit: fileCounts(original).executedMacs,
    preprocessing,
    ...(isLabelled ? { classNames } : {}),
    record: {
      method: "PENNI",
      model,
      preset,
      seed,
      basis: settings.basis,
      prune: settings.prune,
      weights: hasHalfWeights(original) ? "float16" : "float32",
      versions,
      // As the file will have them, where normalizations are part of other layers.
      ...counts(foldNormalization(graph)),
    },
    measure: async (layers) => {
      const times = await measureLatency(layers, { threads: LATENCY_THREADS });
      return times.map((time) => time.medianMs);
    },
  });
  await checkExport(await readModel(run.stagePath("fine-tune")), exported.graph, context);
  return withinSize(exported.graph, run.config);
}

/** Larger files are not made larger by a record of their compression. */
const SMALL_FILE_BYTES = 2 ** 20;

/** The network without the record of its compression where that makes its file larger than what came in. */
function withinSize(exported: Graph, { modelBytes }: RunConfig): Graph {
  if (modelBytes === undefined || modelBytes > SMALL_FILE_BYTES) return exported;
  if (encodeModel(exported, { sparse: true }).byteLength <= modelBytes) return exported;
  const metadata = new Map([...exported.metadata].filter(([key]) => key !== COMPRESSION_KEY));
  return { ...exported, metadata };
}
