import { rm } from "node:fs/promises";
import { batches, planEvaluation } from "../../data/batches.js";
import type { Dataset } from "../../data/dataset.js";
import { holdOut, sampleIndices } from "../../data/hold_out.js";
import { openDataset } from "../../data/open.js";
import { imageDims, type Preprocessing } from "../../data/preprocessing.js";
import { readModel, writeModel } from "../../files/model_files.js";
import { PenniError } from "../../graph/errors.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { classifierInterface, inputImageSize } from "../../measure/accuracy.js";
import { checkClassCount } from "../../measure/classes.js";
import { channelMoments, type Moments } from "../../measure/statistics.js";
import { encodeModel } from "../../onnx/write.js";
import type { TrainingPlan } from "../../train/plan.js";
import { pruneChannels, readValues } from "../channels/prune.js";
import { decompose } from "../decompose.js";
import { prunedByDeviation, prunedToFraction } from "../goal/pruned.js";
import { goalOf } from "../goal/rules.js";
import { importForCompression } from "../import_for_compression.js";
import { insertNormalization, normalizationSites } from "../insert_normalization.js";
import { shrink } from "../shrink.js";
import { calibrateStage } from "./calibrate_stage.js";
import { RunCalibrationJournal } from "./calibration_journal.js";
import { fixedBasis, hasTraining, type Settings } from "./config.js";
import type { RunContext, RunListener } from "./context.js";
import type { RunDirectory } from "./directory.js";
import { exportStage } from "./export_stage.js";
import { describeFrozen, frozenIn } from "./frozen.js";
import { goalOutcome } from "./goal_outcome.js";
import { searchedStages, searchGoal } from "./goal_search.js";
import { describeLabels } from "./labels.js";
import { RunLock } from "./lock.js";
import { naming } from "./naming.js";
import { growth, refuseLarger } from "./never_larger.js";
import { costsOf, counts, summarize } from "./outcome.js";
import { describeMatching } from "./outputs.js";
import { recordedTraining } from "./recorded_training.js";
import { joinRest } from "./rest.js";
import { runStages, type Stage } from "./stage.js";
import type { Summary } from "./summary.js";
import { checkTarget, describeTarget } from "./target.js";
import { fineTunePlan, recoveryPlan, retrainPlan } from "./training_plans.js";

export type { RunListener, StageName } from "./context.js";

/** The method, in order. Each stage's result is kept in `stages/`, and a resumed run skips what is there. */
const stages: readonly Stage[] = [
  { name: "simplify", apply: (graph) => importForCompression(graph) },
  { name: "normalize", apply: normalizeStage },
  { name: "channels", isLeftOut: withoutChannels, apply: channelStage },
  { name: "recover", isLeftOut: withoutChannels, apply: recoverStage },
  {
    name: "decompose",
    apply: decomposeStage,
    tidy: (run) => RunCalibrationJournal.remove(run),
    remarks: ["calibration"],
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
    return await naming(run.config, () => compressLocked({ run, lock, listener, signal }));
  } finally {
    await lock.release();
  }
}

async function compressLocked(given: Omit<RunContext, "dataset" | "passage">): Promise<Summary> {
  const { run, listener } = given;
  const original = await run.readOriginal();
  const { data, preprocessing, classes } = run.config;
  const dataset = await openFittingDataset(original, data, preprocessing, classes);
  if (run.config.reference !== "original") checkClassCount(original, dataset.classNames?.length);
  const { prune } = run.config.settings;
  const passage = { fraction: prune.rule === "macs" ? prune.fraction : undefined, suffix: "" };
  const context: RunContext = { ...given, dataset, passage };
  for (const line of [...(dataset.notices ?? []), ...describeLabels(run.config, original, dataset)])
    listener.notice?.(line);
  for (const line of describeMatching(run.config)) listener.notice?.(line);
  for (const line of describeFrozen(frozenIn(importForCompression(original), run.config)))
    listener.notice?.(line);
  for (const line of describeTarget(run.config, original)) listener.notice?.(line);
  const graph = await throughStages(original, context);
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
  const measured = await summarize(original, { graph, bytes }, context);
  const goal = await goalOutcome(run, { graph, bytes: written }, measured.compressed);
  const summary: Summary = goal === undefined ? measured : { ...measured, goal };
  await run.writeJson("summary.json", summary);
  return summary;
}

/** All stages; those that depend on a fraction that is searched for are gone through again for each try. */
async function throughStages(original: Graph, context: RunContext): Promise<Graph> {
  const { settings } = context.run.config;
  const goal = goalOf(settings.prune);
  if (goal === undefined) return runStages(stages, original, context);
  const [from, to] = searchedStages(goal, settings).map((name) =>
    stages.findIndex((stage) => stage.name === name),
  );
  if (from === undefined || to === undefined) throw new PenniError("internal", "a stage is missing");
  const before = await runStages(stages.slice(0, from), original, context);
  const found = await searchGoal(goal, stages.slice(from, to + 1), before, context);
  const passage = { fraction: found.fraction, suffix: "" };
  return runStages(stages.slice(to + 1), found.graph, { ...context, passage });
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
  const { config } = context.run;
  const { settings } = config;
  if (settings.channels === undefined) throw new PenniError("internal", "a run without channels to remove");
  const moments = await momentsOf(graph, readValues(graph), context);
  const variances = new Map([...moments].map(([value, { variance }]) => [value, variance]));
  const { fraction } = settings.channels;
  const narrow = pruneChannels(graph, { fraction, multiple: settings.channelMultiple, variances });
  const { frozen } = frozenIn(narrow, config);
  const decomposed = (): Graph => decompose(narrow, { basis: fixedBasis(settings), frozen });
  // Before epochs are spent.
  checkTarget({ graph: narrow, decomposed, frozen, original: counts(graph).paperMacs }, settings);
  return narrow;
}

function recoverStage(graph: Graph, context: RunContext): Promise<Graph> | Graph {
  return trained(recoveryPlan(graph, context), graph, context);
}

/** The network after a training; as it is where there is none. */
function trained(plan: TrainingPlan | undefined, graph: Graph, context: RunContext): Promise<Graph> | Graph {
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
  return trained(await retrainPlan(graph, context), graph, context);
}

function fineTuneStage(graph: Graph, context: RunContext): Promise<Graph> | Graph {
  return trained(fineTunePlan(graph, context), graph, context);
}

async function pruneStage(graph: Graph, { run, passage }: RunContext): Promise<Graph> {
  const { frozen } = frozenIn(graph, run.config);
  // With normalizations, which cost nothing by this count, so that values have the same names.
  const network = { graph, original: await readModel(run.stagePath("normalize")), frozen };
  const { prune } = run.config.settings;
  if (prune.rule === "deviation") return prunedByDeviation(network, prune.factor);
  if (passage.fraction === undefined)
    throw new PenniError("internal", "it was not decided how much is to be pruned");
  return prunedToFraction(network, passage.fraction);
}
