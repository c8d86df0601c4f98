import { allIndices, batches, planEvaluation } from "../../data/batches.js";
import type { Dataset } from "../../data/dataset.js";
import { holdOut, sampleIndices } from "../../data/hold_out.js";
import { openDataset } from "../../data/open.js";
import { withInitializers } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { classifierInterface, evaluate, inputImageSize } from "../../measure/accuracy.js";
import { largestDifference } from "../../measure/agreement.js";
import { countGraph } from "../../measure/count.js";
import { measureLatency } from "../../measure/latency.js";
import { channelMoments } from "../../measure/statistics.js";
import { readModel, writeModel } from "../../onnx/files.js";
import { encodeModel } from "../../onnx/write.js";
import { simplify } from "../../ops/passes/simplify.js";
import { upgradeOpset } from "../../ops/passes/upgrade_opset.js";
import type { EpochMetrics, EpochTiming, TrainingPlan } from "../../train/plan.js";
import { decompose } from "../decompose.js";
import { exportModel } from "../export.js";
import { insertNormalization, normalizationSites } from "../insert_normalization.js";
import { pruneCoefficients, pruneToMacs } from "../prune.js";
import { shrink } from "../shrink.js";
import { runTraining, type TrainingListener } from "../training/launch.js";
import type { RunDirectory } from "./directory.js";
import { RunLock } from "./lock.js";
import type { Figures, Summary } from "./summary.js";
import { fineTunePlan, retrainPlan } from "./training_plans.js";

/** What a run tells about itself while it goes on. */
export interface RunListener extends TrainingListener {
  stage?(name: StageName): void;
  images?(what: string, done: number, total: number): void;
}

export type StageName =
  | "simplify"
  | "normalize"
  | "decompose"
  | "retrain"
  | "prune"
  | "fine-tune"
  | "shrink"
  | "export"
  | "measure";

/** What every stage may use. */
interface RunContext {
  readonly run: RunDirectory;
  readonly lock: RunLock;
  readonly dataset: Dataset;
  readonly listener: RunListener;
  readonly signal: AbortSignal | undefined;
}

interface Stage {
  readonly name: StageName;
  /** The network after the stage, from the network before it. */
  readonly apply: (graph: Graph, context: RunContext) => Promise<Graph> | Graph;
}

/** The method, in order. Each stage's result is kept in `stages/`, and a resumed run skips what is there. */
const stages: readonly Stage[] = [
  { name: "simplify", apply: (graph) => simplify(upgradeOpset(graph)) },
  { name: "normalize", apply: normalizeStage },
  {
    name: "decompose",
    apply: (graph, { run }) => decompose(graph, { basis: run.config.settings.basis }),
  },
  { name: "retrain", apply: retrainStage },
  { name: "prune", apply: pruneStage },
  { name: "fine-tune", apply: fineTuneStage },
  {
    name: "shrink",
    apply: (graph, { run }) => shrink(graph, { multiple: run.config.settings.channelMultiple }),
  },
  { name: "export", apply: exportStage },
];

/** Outputs of the exported and of the unshrunk network may differ by this share of the largest, or of 1. */
const EXPORT_TOLERANCE = 1e-3;
/** One thread: with more, a small network's time falls into one of two groups by chance, twice as far apart. */
const LATENCY_THREADS = 1;
const LATENCY_RUNS = 200;
const STATISTICS_IMAGES = 512;
const AGREEMENT_IMAGES = 256;

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
  let graph = original;
  for (const stage of stages) {
    if (signal?.aborted === true) throw new PenniError("interrupted", `stopped before stage "${stage.name}"`);
    listener.stage?.(stage.name);
    const before = graph;
    graph = await run.stage(stage.name, () => stage.apply(before, context));
  }
  const bytes = await writeModel(run.path("model.onnx"), graph, { sparse: true });
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
  if (hasSome || settings.batchNormalization !== "insert") return graph;
  const split = await dataset.train();
  const { train } = holdOut(split.labels, settings.validation, run.config.seed);
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
  if (rule.rule === "deviation") return pruneCoefficients(graph, { factor: rule.factor }).graph;
  const pruning = pruneToMacs(fixBatch(graph, 1), {
    fraction: rule.fraction,
    originalMacs: await originalMacs(run),
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
  const counts = figures(graph);
  const exported = await exportModel(graph, {
    preprocessing,
    classNames: dataset.classNames,
    record: {
      method: "PENNI",
      model,
      preset,
      seed,
      basis: settings.basis,
      prune: settings.prune,
      versions,
      ...counts,
    },
    measure: async (layers) => {
      const times = await measureLatency(layers, { threads: LATENCY_THREADS });
      return times.map((time) => time.medianMs);
    },
  });
  await checkExport(await readModel(run.stagePath("fine-tune")), exported.graph, context);
  return exported.graph;
}

/** Refuses an export whose logits differ from those of the network before shrinking. */
async function checkExport(unshrunk: Graph, exported: Graph, { run, dataset }: RunContext): Promise<void> {
  const split = await dataset.train();
  const indices = sampleIndices(allIndices(split), AGREEMENT_IMAGES, run.config.seed);
  const { preprocessing } = run.config;
  const found = await largestDifference(unshrunk, exported, split, preprocessing, indices);
  const tolerance = EXPORT_TOLERANCE * Math.max(1, found.magnitude);
  if (found.difference <= tolerance) return;
  throw new PenniError("internal", "the exported network does not compute what the trained one does", {
    expected: `outputs within ${tolerance}`,
    found: `a difference of ${found.difference}`,
    advice: "This is a fault of Penni; please report it with the model",
  });
}

/** Counts of a network for one image. */
function figures(graph: Graph): Omit<Figures, "bytes" | "latencyMs" | "test"> {
  const { parameters, paperMacs, executedMacs } = countGraph(fixBatch(graph, 1));
  return { parameters, paperMacs, executedMacs };
}

async function summarize(
  original: Graph,
  exported: { readonly graph: Graph; readonly bytes: number },
  context: RunContext,
): Promise<Summary> {
  const { run, dataset, listener } = context;
  const { threads } = run.config.settings;
  const test = await dataset.test();
  const accuracy = async (what: string, graph: Graph): Promise<Figures["test"]> => {
    const onProgress = (done: number, total: number): void => listener.images?.(what, done, total);
    const { correct, total } = await evaluate(graph, test, run.config.preprocessing, { threads, onProgress });
    return { correct, total };
  };
  const [before, after] = await measureLatency([original, exported.graph], {
    threads: LATENCY_THREADS,
    runs: LATENCY_RUNS,
  });
  const simplified = await readModel(run.stagePath("simplify"));
  const shrunk = await readModel(run.stagePath("shrink"));
  return {
    original: {
      ...figures(simplified),
      bytes: encodeModel(original).byteLength,
      latencyMs: before?.medianMs ?? 0,
      test: await accuracy("original", original),
    },
    compressed: {
      ...figures(shrunk),
      bytes: exported.bytes,
      latencyMs: after?.medianMs ?? 0,
      test: await accuracy("compressed", exported.graph),
    },
    model: run.path("model.onnx"),
  };
}
