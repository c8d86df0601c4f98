import { availableParallelism } from "node:os";
import path from "node:path";
import type { Command } from "commander";
import { compressionDefaults, labelLoss, plainRule, trainingDefaults } from "../method/defaults.js";
import type { Settings } from "../run/config.js";
import type { RunDirectory } from "../run/directory.js";
import type { Summary } from "../run/summary.js";
import type { TrainingPlan } from "../train/plan.js";
import { describeCertainty, describeJudgement, summaryTable } from "./compress_text.js";
import { claimDemoFolder, type DemoFolder } from "./demo_folder.js";
import { addExamples, headings } from "./help.js";
import { wholeNumber } from "./options.js";
import { wordsOf } from "./reported.js";
import { duration, type RunView } from "./run_view.js";
import { lineWidth, type Terminal, wrap } from "./terminal.js";
import { advising, compressRun, watched } from "./watched.js";

interface DemoOptions {
  readonly out: string;
  readonly seed: number;
}

const DATA = "synthetic";
/** Neither crops at the full four pixels nor mirrors: a mirrored rising stripe is a falling one. */
const augmentation = { padding: 2, flip: false } as const;
const BATCH = 64;
const VALIDATION = compressionDefaults.validation;
const TRAIN_EPOCHS = 8;

/** `penni demo`: the main job from nothing, in a few minutes. */
export function addDemoCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("demo")
    .description("train a small CNN on generated images, compress it and compare the two (a few minutes)")
    .optionsGroup(headings.result)
    .option("-o, --out <dir>", "directory of the demo: new, empty, or of an earlier demo", "penni-demo")
    .option("--seed <n>", "seed of everything random", wholeNumber(0), 0)
    .action((options: DemoOptions, command: Command) => runDemo(options, wordsOf(command), terminal));
  return addExamples(command, [{ what: "in a directory of its own:", words: ["demo", "-o penni-demo"] }]);
}

async function runDemo(
  { out, seed }: DemoOptions,
  words: readonly string[],
  terminal: Terminal,
): Promise<void> {
  const started = performance.now();
  const folder = await claimDemoFolder(out);
  const work = watched(terminal.stderr, async (view, signal) => {
    await trainOriginal(folder, seed, view, signal);
    return compressRun(await prepareCompression(folder, seed), view, signal, { words, isOpened: false });
  });
  const summary = await work.finally(() => folder.lock.release());
  const seconds = (performance.now() - started) / 1000;
  terminal.stdout.write(`${describeOutcome(summary, folder, seconds, lineWidth(terminal.stdout))}\n`);
}

/** Trains the demo's network from its random start on the synthetic images. */
async function trainOriginal(
  folder: DemoFolder,
  seed: number,
  view: RunView,
  signal: AbortSignal,
): Promise<void> {
  const [
    { demoNetwork, demoPreprocessing },
    { patternNames },
    { trainableParameters },
    { writeModel },
    training,
  ] = await Promise.all([
    import("../networks/demo.js"),
    import("../data/synthetic_patterns.js"),
    import("../method/parameters.js"),
    import("../files/model_files.js"),
    import("../run/training/launch.js"),
  ]);
  const network = demoNetwork({ classes: patternNames.length, seed });
  const initial = path.join(folder.training, "initial.onnx");
  await writeModel(initial, network);
  const names = [...trainableParameters(network).keys()];
  const trained = Object.fromEntries(names.map((name) => [name, plainRule]));
  const plan: TrainingPlan = {
    stage: "train",
    network: initial,
    result: folder.original,
    checkpoint: path.join(folder.training, "train.ckpt"),
    data: { spec: DATA, preprocessing: demoPreprocessing, augmentation, validation: VALIDATION },
    seed,
    batch: BATCH,
    epochs: TRAIN_EPOCHS,
    phases: [{ name: "all", trained }],
    phaseEpochs: TRAIN_EPOCHS,
    schedule: { kind: "cosine", initial: trainingDefaults.schedule.peak },
    l1Strength: 0,
    optimizer: trainingDefaults.optimizer,
    loss: labelLoss(trainingDefaults.labelSmoothing),
    batchNormalization: "batch",
    sparse: [],
    threads: availableParallelism(),
    checkpointSeconds: trainingDefaults.checkpointSeconds,
  };
  view.stage(`train a network on ${patternNames.length} classes of generated images`);
  const listener = { ...view, started: (pid: number) => folder.lock.cover(pid) };
  await advising("Run the demo again: it starts anew", () => training.runTraining(plan, listener, signal));
}

async function prepareCompression(folder: DemoFolder, seed: number): Promise<RunDirectory> {
  const { prepareRun } = await import("../run/prepare.js");
  return prepareRun({
    model: folder.original,
    data: DATA,
    out: folder.compression,
    preset: "fast",
    settings: await compressionSettings(),
    seed,
  });
}

/** The fast preset, sized for a network that is much too large for its task, and for few images. */
async function compressionSettings(): Promise<Settings> {
  const { presets } = await import("../run/config.js");
  const { fast } = presets;
  return {
    ...fast,
    basis: 4,
    retrain: { ...fast.retrain, epochs: 2 },
    fineTune: { ...fast.fineTune, epochs: 4 },
    l1: 1e-2,
    prune: { rule: "macs", fraction: 0.15 },
    batch: BATCH,
    augmentation,
    validation: VALIDATION,
    threads: availableParallelism(),
  };
}

function describeOutcome(summary: Summary, folder: DemoFolder, seconds: number, width: number): string {
  const files = [`original:   ${folder.original}`, `compressed: ${summary.model}`];
  const closing = `Both load in any ONNX Runtime. The demo took ${duration(seconds)}.`;
  const certainty = describeCertainty(summary, width).flatMap((text) => [text, ""]);
  const judgement = describeJudgement(summary, width);
  return [
    summaryTable(summary, width),
    "",
    ...certainty,
    judgement,
    "",
    ...files,
    "",
    wrap(closing, width),
  ].join("\n");
}
