import { type Command, Option } from "commander";
import { sourcesText } from "../data/spec.js";
import { PenniError } from "../graph/errors.js";
import { weightsTypes } from "../graph/weights_type.js";
import { compressionDefaults, compressionLoss, lossNames, recoveryDefaults } from "../method/defaults.js";
import type { Settings } from "../run/config.js";
import type { RunDirectory } from "../run/directory.js";
import { penalties, presetNames, saliencies, starts } from "../run/names.js";
import type { ExpectedTraining } from "../run/training_time.js";
import { terminalJson } from "../text/destinations.js";
import { type CompressOptions, withRule } from "./compress_options.js";
import { scheduleNames, settingsFrom, teacherOption } from "./compress_settings.js";
import { describeSummary } from "./compress_text.js";
import { CONFIG_DESCRIPTION } from "./configured.js";
import { isGiven } from "./extra.js";
import { addRuleOptions } from "./goal_options.js";
import { addExamples, type Example, headings } from "./help.js";
import {
  addPreprocessingOptions,
  basisSize,
  classesOption,
  deviceOption,
  inputShape,
  numberBetween,
  positiveShare,
  wholeNumber,
} from "./options.js";
import { outputLoss } from "./output_loss.js";
import { printPictures } from "./pictures.js";
import { wordsOf } from "./reported.js";
import { checkResumeAlone } from "./resume.js";
import { duration } from "./run_view.js";
import { lineWidth, type Terminal } from "./terminal.js";
import { compressRun, outlivingTerminal, watched } from "./watched.js";

const examples: readonly Example[] = [
  {
    what: "minutes, from pictures without labels:",
    words: ["compress", "net.onnx", "--data images:photos", "-o run", "--preset calibrate"],
  },
  {
    what: "retrained with labels, at most half a point worse:",
    words: ["compress", "net.onnx", "--data folder:photos", "-o run", "--max-loss 0.5"],
  },
  { what: "look first:", words: ["compress", "net.onnx", "--data images:photos", "--plan"] },
  { what: "go on after Ctrl-C:", words: ["compress", "--resume run"] },
];

/**
 * Commands that know all of its options: a configuration file of train may have settings of compress besides, and a
 * worker checks those of trials.
 */
const namingAll = ["compress", "train", "sweep", "worker", "schema", "completion"] as const;

/**
 * `penni compress`: the whole method on a model of the user's.
 * @param args the command line: where it does not name the command, what is behind its options is not loaded
 */
export async function addCompressCommand(
  program: Command,
  terminal: Terminal,
  args: readonly string[],
): Promise<Command> {
  const isCalled = namingAll.some((name) => args.includes(name));
  const criteria = isCalled ? (await import("../method/criteria/table.js")).criteria : [];
  const command = program
    .command("compress")
    .description("decompose, retrain, prune, fine-tune, shrink and export a network")
    .argument("[model]", "an .onnx file")
    .optionsGroup("What to compress, and where to:")
    .option("--data <spec>", `the images: ${sourcesText()}`)
    .addOption(classesOption())
    .option("-o, --out <dir>", "directory of the run: new or empty")
    .option("--resume <dir>", "go on with a run that was stopped or killed")
    .option("--config <file>", CONFIG_DESCRIPTION)
    .optionsGroup("How:")
    .addOption(new Option("--preset <name>", "named settings").choices(presetNames).default("fast"))
    .addOption(
      new Option(
        "--start <name>",
        "bases and coefficients from the kernels (svd) or from images (calibrate)",
      ).choices(starts),
    )
    .option(
      "--calibration-images <n>",
      `images of a calibrated start, or of --saliency (${compressionDefaults.calibrationImages})`,
      wholeNumber(1),
    )
    .option("--basis <d|auto>", "basis kernels per layer; auto, calibrated, for each layer", basisSize);
  command.optionsGroup("How far (one of these):");
  addRuleOptions(command, criteria);
  command
    .addOption(
      new Option(
        "--saliency <name>",
        "what goes first: the smallest by their layer's deviation, or what the loss misses least for each MAC, by its squared gradients (fisher) or their size (taylor)",
      ).choices(saliencies),
    )
    .optionsGroup("Whole channels first:")
    .addOption(
      new Option(
        "--channels <f>",
        "first remove whole channels until this fraction of the original's MACs is left, and train: faster in every runtime",
      ).argParser(positiveShare),
    )
    .option("--residual-channels", "also channels that additions tie together, those of residual streams")
    .option(
      "--channel-epochs <n>",
      `epochs of training after that (${recoveryDefaults.epochs})`,
      numberBetween(0, 1e6),
    )
    .option(
      "--channel-lr <x>",
      `highest learning rate of that training (${recoveryDefaults.schedule.peak})`,
      numberBetween(1e-12, 1e3),
    )
    .addOption(
      new Option(
        "--channel-loss <name>",
        "what that training learns from (default: as the rest); labels alone is faster",
      ).choices(lossNames),
    )
    .optionsGroup("Retraining and fine-tuning:")
    .option(
      "--teacher <name|file>",
      "whose outputs are learned from: original, recovered (what is left after --channels: faster), or another classifier of the same pictures (an .onnx file)",
      teacherOption,
    )
    .option(
      "--teacher-features <w>",
      "weight of learning where the teacher's maps are strong, at the end of each size of maps (attention transfer)",
      numberBetween(1e-6, 1e6),
    )
    .option("--gradual", "remove coefficients little by little in retraining, so that they can come back")
    .option("--epochs <n>", "epochs of retraining", numberBetween(0, 1e6))
    .option("--fine-tune-epochs <n>", "epochs of fine-tuning", numberBetween(0, 1e6))
    .addOption(
      new Option(
        "--phases <name>",
        "whether coefficients and bases take turns in retraining, or train together",
      ).choices(["alternating", "joint"]),
    )
    .option("--phase-epochs <n>", "epochs before coefficients and bases take turns", numberBetween(1e-6, 1e6))
    .option("--lr <x>", "first learning rate of retraining", numberBetween(1e-12, 1e3))
    .option("--fine-tune-lr <x>", "first learning rate of fine-tuning", numberBetween(1e-12, 1e3))
    .addOption(
      new Option("--schedule <name>", "how the rates go: only down, or up and down again").choices(
        scheduleNames,
      ),
    )
    .option(
      "--ema <decay>",
      "end with the average of the weights over fine-tuning, with this weight of the past a step, as 0.998",
      numberBetween(0.5, 0.99999),
    )
    .option("--l1 <x>", "strength of the penalty on the coefficients", numberBetween(0, 1e3))
    .addOption(
      new Option(
        "--penalty <what>",
        "what the penalty sets to zero: single coefficients, or whole channels (faster in every runtime)",
      ).choices(penalties),
    )
    .addOption(
      new Option(
        "--loss <name>",
        "learn from labels, from the original's outputs (distill: any network, no labels), or from both",
      ).choices(lossNames),
    )
    .option(
      "--output-loss <NAME=LOSS>",
      "with --loss distill, how an output is matched: kl, mse or smooth-l1; kl@AXIS sets the axis of the classes, :WEIGHT a weight (repeatable)",
      outputLoss,
    )
    .option(
      "--distillation <w>",
      "weight of the original's outputs in the loss; the labels get the rest",
      numberBetween(0, 1),
    )
    .option(
      "--temperature <t>",
      `softens the classes' scores that are learned from (${compressionLoss("mixed").temperature})`,
      numberBetween(0.01, 1e3),
    )
    .option("--label-smoothing <s>", "share of each label spread over all classes", numberBetween(0, 0.99))
    .option("--no-shrink-while-training", "keep dead channels until the training is over")
    .option("--weight-decay <x>", "L2 penalty on all weights", numberBetween(0, 1))
    .option("--batch <n>", "images in a batch", wholeNumber(1))
    .option("--seed <n>", "seed of everything random", wholeNumber(0), 0)
    .option("--threads <n>", "threads of the runtime (default: one per core)", wholeNumber(1))
    .addOption(deviceOption("where the training steps run"))
    .option("--validation <f>", "share of the training images held out", numberBetween(0, 0.9))
    .option("--train-limit <n>", "use only so many training images", wholeNumber(1))
    .optionsGroup(headings.model)
    .option(
      "--input-shape <NAME:DIMS>",
      "dimensions of an input that the model leaves open, as input:1x3x224x224",
      inputShape,
    )
    .option("--dequantize", "compress the float32 network behind a quantized model")
    .addOption(
      new Option(
        "--weights-type <name>",
        "how the result's weights are stored (default: as the model has them); auto: in the fewest bytes that move the outputs on training images by little",
      ).choices([...weightsTypes, "auto"]),
    )
    .option("--external-data", "put the weights of the result into a file of their own, model.onnx.data");
  addPreprocessingOptions(command.optionsGroup(headings.pictures))
    .optionsGroup(headings.output)
    .option(
      "--checkpoint-seconds <s>",
      `seconds between checkpoints (${compressionDefaults.checkpointSeconds})`,
      numberBetween(0.01, 1e6),
    )
    .option("--plan", "only print what would be decomposed, pruned and removed; train and write nothing")
    .option("--open", "show the report in a browser, and follow the run there")
    .option("--json", "print the outcome as JSON")
    .action((model: string | undefined, options: CompressOptions, command: Command) =>
      runCommand(model ?? options.model, withRule(options, command), command, terminal),
    );
  return addExamples(command, examples);
}

async function runCommand(
  model: string | undefined,
  options: CompressOptions,
  command: Command,
  terminal: Terminal,
): Promise<void> {
  if (options.plan === true) return printPlan(model, options, command, terminal);
  const summary = await outlivingTerminal(async () => {
    const run = await openRun(model, options, command, terminal);
    const reporting = { words: wordsOf(command), isOpened: options.open === true };
    return watched(terminal.stderr, (view, signal) => compressRun(run, view, signal, reporting));
  });
  const text =
    options.json === true ? terminalJson(summary) : describeSummary(summary, lineWidth(terminal.stdout));
  terminal.stdout.write(`${text}\n`);
}

async function printPlan(
  model: string | undefined,
  options: CompressOptions,
  command: Command,
  terminal: Terminal,
): Promise<void> {
  const [{ planModel, planRunDirectory }, { describePlan }] = await Promise.all([
    import("./plan.js"),
    import("./plan_text.js"),
  ]);
  if (options.resume !== undefined) checkResumeAlone(model, command, "penni compress");
  const planned = async () => {
    const settings = await settingsFrom(options);
    const plan = await planModel(model, settings, options.inputShape, options.dequantize);
    await tellIdle(options, settings, terminal);
    return plan;
  };
  const plan = options.resume === undefined ? await planned() : await planRunDirectory(options.resume);
  const text = options.json === true ? terminalJson(plan) : describePlan(plan, lineWidth(terminal.stdout));
  terminal.stdout.write(`${text}\n`);
}

/** What is about to take long, before it starts. */
function describeTraining({ seconds, epochs, images, isRepeated }: ExpectedTraining): string {
  const pictures = images.toLocaleString("en-US");
  const passes = `${Number(epochs.toFixed(2))} ${epochs === 1 ? "epoch" : "epochs"} of ${pictures} pictures`;
  return (
    `Training takes about ${duration(seconds)} on two usual cores (${passes}` +
    `${isRepeated ? ", for each try of the goal" : ""}); once it runs, its line has the time left here.`
  );
}

async function openRun(
  model: string | undefined,
  options: CompressOptions,
  command: Command,
  terminal: Terminal,
): Promise<RunDirectory> {
  if (options.resume !== undefined) {
    checkResumeAlone(model, command, "penni compress");
    const [{ RunDirectory }, { formatOfRun }] = await Promise.all([
      import("../run/directory.js"),
      import("../data/picture_format.js"),
    ]);
    const elsewhere = isGiven(command, "device") ? options.device : undefined;
    const run = await RunDirectory.open(options.resume, elsewhere);
    await printPictures(terminal.stderr, formatOfRun(run.config.preprocessing));
    return run;
  }
  const { data, out } = options;
  if (model === undefined || data === undefined || out === undefined) {
    throw new PenniError("bad-option", "what to compress is not fully given", {
      expected: "penni compress MODEL --data SPEC -o DIR, or penni compress --resume DIR",
    });
  }
  const [{ prepareRun }, { compressRequest }] = await Promise.all([
    import("../run/prepare.js"),
    import("./compress_request.js"),
  ]);
  const run = await prepareRun(
    await compressRequest({ model, data, out }, options, {
      notice: (text) => {
        terminal.stderr.write(`  ${text}\n`);
      },
      onPictures: (format, warning) => printPictures(terminal.stderr, format, warning),
      onTraining: (expected) => {
        terminal.stderr.write(`${describeTraining(expected)}\n`);
      },
    }),
  );
  // Once nothing stands against the run: an error is one line.
  await tellIdle(options, run.config.settings, terminal);
  return run;
}

/** Options that were given and change nothing. */
async function tellIdle(options: CompressOptions, settings: Settings, terminal: Terminal): Promise<void> {
  const { idleOptions } = await import("./effects.js");
  for (const sentence of idleOptions(options, settings)) terminal.stderr.write(`  ${sentence}\n`);
}
