import { batches, planEvaluation } from "../../data/batches.js";
import type { Dataset } from "../../data/dataset.js";
import { holdOut, sampleIndices } from "../../data/hold_out.js";
import { openDataset } from "../../data/open.js";
import { withInitializers } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { classifierInterface, inputImageSize } from "../../measure/accuracy.js";
import { countGraph } from "../../measure/count.js";
import { measureLatency } from "../../measure/latency.js";
import { channelMoments } from "../../measure/statistics.js";
import { readModel, writeModel } from "../../onnx/files.js";
import { encodeModel } from "../../onnx/write.js";
import { hasHalfWeights } from "../../ops/passes/float16.js";
import { importModel } from "../../ops/passes/import_model.js";
import type { EpochMetrics, EpochTiming, TrainingPlan } from "../../train/plan.js";
import { decompose } from "../decompose.js";
import { exportModel } from "../export.js";
import { insertNormalization, normalizationSites } from "../insert_normalization.js";
import { pruneCoefficients, pruneToMacs } from "../prune.js";
import { shrink } from "../shrink.js";
import { runTraining } from "../training/launch.js";
import { calibrateStage } from "./calibrate_stage.js";
import { RunCalibrationJournal } from "./calibration_journal.js";
import { fixedBasis, hasTraining } from "./config.js";
import type { RunContext, RunListener, StageName } from "./context.js";
import type { RunDirectory } from "./directory.js";
import { describeFrozen, frozenIn, sparing } from "./frozen.js";
import { RunLock } from "./lock.js";
import { checkExport, counts, LATENCY_THREADS, summarize } from "./outcome.js";
import { describeMatching } from "./outputs.js";
import { joinRest } from "./rest.js";
import type { Summary } from "./summary.js";
import { fineTunePlan, retrainPlan } from "./training_plans.js";

export type { RunListener, StageName } from "./context.js";

interface Stage {
  readonly name: StageName;
  /** The network after the stage, from the network before it. */
  readonly apply: (graph: Graph, context: RunContext) => Promise<Graph> | Graph;
  /** Removes what the stage kept for being resumed. */
  readonly tidy?: (run: RunDirectory) => Promise<void>;
}

/** The method, in order. Each stage's result is kept in `stages/`, and a resumed run skips what is there. */
const stages: readonly Stage[] = [
  { name: "simplify", apply: (graph) => importModel(graph) },
  { name: "normalize", apply: normalizeStage },
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
    await run.removeTemporaryFiles();
    return await compressLocked({ run, lock, listener, signal });
  } finally {
    await lock.release();
  }
}

async function compressLocked(given: Omit<RunContext, "dataset">): Promise<Summary> {
  const { run, listener, signal } = given;
  const original = await readModel(run.stagePath("original"));
  const dataset = await openFittingDataset(original, run.config.data);
  const context: RunContext = { ...given, dataset };
  for (const line of describeMatching(run.config)) listener.notice?.(line);
  for (const line of describeFrozen(frozenIn(importModel(original), run.config))) listener.notice?.(line);
  let graph = original;
  for (const stage of stages) {
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
  listener.stage?.("measure");
  const summary = await summarize(original, { graph, bytes }, context);
  await run.writeJson("summary.json", summary);
  return summary;
}

/** The dataset a specification names, if the model takes its images. */
export async function openFittingDataset(model: Graph, spec: string): Promise<Dataset> {
  const imageSize = inputImageSize(model);
  const dataset = await openDataset(spec, imageSize === undefined ? {} : { imageSize });
  classifierInterface(model, dataset);
  return dataset;
}

/** The original's multiply-accumulates for one image. */
async function originalMacs(run: RunDirectory): Promise<number> {
  return countGraph(fixBatch(await readModel(run.stagePath("simplify")), 1)).executedMacs;
}

/**
 * Gives a network without normalisations some, with the statistics of its convolutions on a few training
 * images.
 */
async function normalizeStage(graph: Graph, { run, dataset }: RunContext): Promise<Graph> {
  const { settings, preprocessing } = run.config;
  const hasSome = graph.nodes.some((node) => node.op === "BatchNormalization");
  if (hasSome || settings.batchNormalization !== "insert" || !hasTraining(settings)) return graph;
  const split = await dataset.train();
  const { train } = holdOut(split, settings.validation, run.config.seed);
  const batch = Math.min(settings.batch, train.length);
  const count = Math.max(batch, Math.floor(Math.min(STATISTICS_IMAGES, train.length) / batch) * batch);
  const moments = await channelMoments(
    fixBatch(graph, batch),
    normalizationSites(graph),
    batches(planEvaluation(split, sampleIndices(train, count, run.config.seed), { batch, preprocessing })),
    [split.channels, split.height, split.width],
    settings.threads,
  );
  return insertNormalization(graph, moments);
}

/** Bases and coefficients, from the kernels alone or from images. */
function decomposeStage(graph: Graph, context: RunContext): Promise<Graph> | Graph {
  const { settings } = context.run.config;
  if (settings.start === "calibrate") return calibrateStage(graph, context);
  const { frozen } = frozenIn(graph, context.run.config);
  return decompose(graph, { basis: fixedBasis(settings), frozen });
}

function retrainStage(graph: Graph, context: RunContext): Promise<Graph> | Graph {
  const plan = retrainPlan(graph, context.run);
  return plan === undefined ? graph : trained(plan, context);
}

function fineTuneStage(graph: Graph, context: RunContext): Promise<Graph> | Graph {
  const plan = fineTunePlan(graph, context.run);
  return plan === undefined ? graph : trained(plan, context);
}

/** The trained network; each epoch's metrics are appended, in order, before anybody goes on. */
async function trained(plan: TrainingPlan, { run, lock, listener, signal }: RunContext): Promise<Graph> {
  let written: Promise<void> = Promise.resolve();
  const append = (write: () => Promise<void>): void => {
    written = written.then(write);
    // A failure is thrown below, when the stage ends; until then nobody waits for it.
    written.catch(() => undefined);
  };
  const epoch = (metrics: EpochMetrics): void => {
    append(() => run.appendMetrics(metrics));
    listener.epoch?.(metrics);
  };
  const timing = (taken: EpochTiming): void => {
    append(() => run.appendTiming(taken));
    listener.timing?.(taken);
  };
  try {
    // Also where the result is there already: the epochs in its checkpoint may not all be in the metrics.
    await runTraining(plan, { ...listener, epoch, timing, started: (pid) => lock.cover(pid) }, signal);
  } finally {
    await written;
  }
  return readModel(plan.result);
}

async function pruneStage(graph: Graph, { run }: RunContext): Promise<Graph> {
  const rule = run.config.settings.prune;
  const scales = sparing(frozenIn(graph, run.config).frozen);
  if (rule.rule === "deviation") return pruneCoefficients(graph, { factor: rule.factor, scales }).graph;
  const pruning = pruneToMacs(fixBatch(graph, 1), {
    fraction: rule.fraction,
    originalMacs: await originalMacs(run),
    scales,
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
  const { classNames } = dataset;
  const isLabelled = run.config.reference !== "original" && classNames !== undefined;
  const original = await readModel(run.stagePath("original"));
  const exported = await exportModel(graph, {
    original,
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
      ...counts(graph),
    },
    measure: async (layers) => {
      const times = await measureLatency(layers, { threads: LATENCY_THREADS });
      return times.map((time) => time.medianMs);
    },
  });
  await checkExport(await readModel(run.stagePath("fine-tune")), exported.graph, context);
  return exported.graph;
}
