import { rm } from "node:fs/promises";
import type { Dataset } from "../data/dataset.js";
import { noticesOf } from "../data/dataset.js";
import { openDataset } from "../data/open.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { readModel, writeModel } from "../files/model_files.js";
import type { Graph } from "../graph/types.js";
import { classifierInterface, inputImageSize } from "../measure/accuracy.js";
import { checkClassCount } from "../measure/classes.js";
import { askedCriterion } from "../method/goal/criterion.js";
import { goalOf } from "../method/goal/rules.js";
import { importForCompression } from "../method/import_for_compression.js";
import { encodedSize } from "../onnx/write.js";
import type { RunContext, RunListener } from "./context.js";
import type { RunDirectory } from "./directory.js";
import { describeFrozen, frozenIn } from "./frozen.js";
import { goalOutcome } from "./goal_outcome.js";
import { dividedBySearch, searchGoal } from "./goal_search.js";
import { describeLabels } from "./labels.js";
import { RunLock } from "./lock.js";
import { naming } from "./naming.js";
import { growth, refuseLarger } from "./never_larger.js";
import { costsOf, summarize } from "./outcome.js";
import { describeMatching } from "./outputs.js";
import { joinRest } from "./rest.js";
import { stages } from "./stages/list.js";
import { checkOrder, type Progress, runStages, startOfRun } from "./stages/stage.js";
import type { Summary } from "./summary.js";
import { describeTarget } from "./target.js";

export type { RunListener } from "./context.js";
export type { StageName } from "./stages/names.js";

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
  const dataset = await openedDataset(run, listener);
  const { prune } = run.config.settings;
  const passage = { fraction: askedCriterion(prune)?.fraction, suffix: "" } as const;
  const context: RunContext = { ...given, dataset, passage };
  const { file } = await throughStages(context);
  // Read only now: trainings take hours, and there the network is in a process of its own.
  const graph = await readModel(file);
  const original = await run.readOriginal();
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
  const bytes = rest === undefined ? written : encodedSize(graph, { sparse: true });
  const grown = await refuseLargerResult(original, { graph, bytes }, run);
  if (grown !== undefined) listener.notice?.(grown);
  listener.stage?.("measure");
  const measured = await summarize(original, { graph, bytes }, context);
  const goal = await goalOutcome(run, { graph, bytes: written }, measured.compressed);
  const summary: Summary = goal === undefined ? measured : { ...measured, goal };
  await run.writeJson("summary.json", summary);
  return summary;
}

/** The run's images, which fit its network; what is to be known of both is told. */
async function openedDataset(run: RunDirectory, listener: RunListener): Promise<Dataset> {
  const { config } = run;
  const original = await run.readOriginal();
  const dataset = await openFittingDataset(original, config.data, config.preprocessing, config.classes);
  if (config.reference !== "original") checkClassCount(original, dataset.classNames?.length);
  const lines = [
    ...noticesOf(dataset),
    ...describeLabels(config, original, dataset),
    ...describeMatching(config),
    ...describeFrozen(frozenIn(importForCompression(original), config)),
    ...describeTarget(config, original),
  ];
  for (const line of lines) listener.notice?.(line);
  return dataset;
}

/** All stages; those that depend on a fraction that is searched for are gone through again for each try. */
async function throughStages(context: RunContext): Promise<Progress> {
  const { run } = context;
  checkOrder(stages, run.config);
  const start = startOfRun(run);
  const goal = goalOf(run.config.settings.prune);
  if (goal === undefined) return runStages(stages, start, context);
  const { before, searched, after } = dividedBySearch(stages, goal, run.config);
  const found = await searchGoal(goal, searched, await runStages(before, start, context), context);
  const passage = { fraction: found.fraction, suffix: "" } as const;
  return runStages(after, found.progress, { ...context, passage });
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
