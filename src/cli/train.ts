import { type Command, Option } from "commander";
import { sourcesText } from "../data/spec.js";
import { PenniError } from "../graph/errors.js";
import { compressionLoss, trainingDefaults } from "../method/defaults.js";
import type { TrainingRun } from "../run/train_pipeline.js";
import { terminalJson } from "../text/destinations.js";
import { CONFIG_DESCRIPTION } from "./configured.js";
import { isGiven } from "./extra.js";
import { addExamples, type Example, headings } from "./help.js";
import {
  addPreprocessingOptions,
  classesOption,
  classNamesOf,
  deviceOption,
  givenPictureOptions,
  inputShape,
  numberBetween,
  wholeNumber,
} from "./options.js";
import { printPictures } from "./pictures.js";
import { reported, wordsOf } from "./reported.js";
import { checkResumeAlone } from "./resume.js";
import type { Terminal } from "./terminal.js";
import { resolutionList, scheduleNames, type TrainOptions, trainingSettings } from "./train_settings.js";
import { describeTraining } from "./train_text.js";
import { advising, outlivingTerminal, watched } from "./watched.js";

/** `penni train`: trains a network from the weights that it has. */
export function addTrainCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("train")
    .description("train a classifier from the weights that it has (penni new writes an untrained one)")
    .argument("[model]", "an .onnx file")
    .optionsGroup("What to train, and where to:")
    .option("--data <spec>", `the images, with labels: ${sourcesText({ needsLabels: true })}`)
    .addOption(classesOption())
    .option("-o, --out <dir>", "directory of the run: new or empty")
    .option("--resume <dir>", "go on with a training that was stopped or killed")
    .option("--config <file>", CONFIG_DESCRIPTION)
    .optionsGroup("How long, and at which rate:")
    .option("--epochs <n>", "passes over the training images", numberBetween(1e-6, 1e6), 30)
    .option(
      "--lr <x>",
      `highest learning rate (${trainingDefaults.schedule.peak})`,
      numberBetween(1e-12, 1e3),
    )
    .addOption(
      new Option(
        "--schedule <name>",
        "how the learning rate falls to 0: in a straight line, or as a cosine does",
      )
        .choices(scheduleNames)
        .default("one-cycle"),
    )
    .option(
      "--warm-up <f>",
      `share of the training in which the rate rises first (${trainingDefaults.schedule.warmUp}); with cosine none by default`,
      numberBetween(0, 0.9),
    )
    .option("--batch <n>", `images in a batch (${trainingDefaults.batch})`, wholeNumber(1))
    .option(
      "--momentum <x>",
      `Nesterov momentum (${trainingDefaults.optimizer.momentum})`,
      numberBetween(0, 0.999),
    )
    .option(
      "--insert-normalization",
      "give a network whose BatchNormalization was folded away by an export one behind each convolution",
    )
    .optionsGroup("Learning from another network besides the labels:")
    .option("--teacher <file>", "an .onnx file of a better classifier of the same pictures")
    .option(
      "--distillation <w>",
      `weight of its scores in the loss; the labels get the rest (${compressionLoss("mixed").distillation})`,
      numberBetween(0.001, 0.999),
    )
    .option(
      "--temperature <t>",
      `softens the scores that are learned from (${compressionLoss("mixed").temperature})`,
      numberBetween(0.01, 1e3),
    )
    .optionsGroup("Against learning by heart:")
    .option(
      "--label-smoothing <s>",
      `share of each label spread over all classes (${trainingDefaults.labelSmoothing})`,
      numberBetween(0, 0.99),
    )
    .option(
      "--weight-decay <x>",
      `L2 penalty on all weights (${trainingDefaults.optimizer.weightDecay})`,
      numberBetween(0, 1),
    )
    .option(
      "--ema <decay>",
      "write the average of the weights over the steps, with this weight of the past a step, as 0.998",
      numberBetween(1e-6, 0.999999),
    )
    .option(
      "--pad <n>",
      `pixels that random crops move by (${trainingDefaults.augmentation.padding})`,
      wholeNumber(0),
    )
    .option("--no-flip", "do not mirror images at random")
    .option("--cutout <n>", "side of a square that is cut out of each image, in pixels (0)", wholeNumber(0))
    .optionsGroup("Which images, and how large:")
    .option(
      "--resolution <SIZE:SHARE,...>",
      "train the first epochs on smaller images, as 16:0.5,24:0.3; the rest at the network's own size",
      resolutionList,
    )
    .option(
      "--validation <f>",
      `share of the training images held out (${trainingDefaults.validation})`,
      numberBetween(0, 0.9),
    )
    .option("--train-limit <n>", "use only so many training images", wholeNumber(1))
    .optionsGroup(headings.work)
    .option("--seed <n>", "seed of everything random", wholeNumber(0), 0)
    .option("--threads <n>", "threads of the runtime (default: one per core)", wholeNumber(1))
    .addOption(deviceOption("where the training steps run"))
    .option(
      "--checkpoint-seconds <s>",
      `seconds between checkpoints (${trainingDefaults.checkpointSeconds})`,
      numberBetween(0.01, 1e6),
    )
    .optionsGroup(headings.model)
    .option(
      "--input-shape <NAME:DIMS>",
      "dimensions of an input that the model leaves open, as input:1x3x224x224",
      inputShape,
    );
  addPreprocessingOptions(command.optionsGroup(headings.pictures))
    .optionsGroup(headings.output)
    .option("--open", "show the report in a browser, and follow the training there")
    .option("--json", "print the outcome as JSON")
    .action((model: string | undefined, options: TrainOptions, command: Command) =>
      runTrain(model ?? options.model, options, command, terminal),
    );
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  {
    what: "a new network on CIFAR-10:",
    words: ["train", "untrained.onnx", "--data cifar10:cifar", "-o trained"],
  },
  { what: "go on after Ctrl-C:", words: ["train", "--resume trained"] },
];

async function runTrain(
  model: string | undefined,
  options: TrainOptions,
  command: Command,
  terminal: Terminal,
): Promise<void> {
  const summary = await outlivingTerminal(async () => {
    const run = await openTraining(model, options, command, terminal);
    return watched(terminal.stderr, async (view, signal) => {
      const { trainRun } = await import("../run/train_pipeline.js");
      const reporting = { words: wordsOf(command), isOpened: options.open === true };
      return advising(`Go on with: penni train --resume ${run.root}`, () =>
        reported(run, view, reporting, (listener) => trainRun(run, listener, signal)),
      );
    });
  });
  const { shareInterval } = await import("../measure/interval.js");
  const text = options.json === true ? terminalJson(summary) : describeTraining(summary, shareInterval);
  terminal.stdout.write(`${text}\n`);
}

async function openTraining(
  model: string | undefined,
  options: TrainOptions,
  command: Command,
  terminal: Terminal,
): Promise<TrainingRun> {
  if (options.resume !== undefined) {
    checkResumeAlone(model, command, "penni train");
    const { RunDirectory } = await import("../run/directory.js");
    const elsewhere = isGiven(command, "device") ? options.device : undefined;
    return RunDirectory.openTraining(options.resume, elsewhere);
  }
  const { data, out, seed, inputShape, teacher } = options;
  if (model === undefined || data === undefined || out === undefined) {
    throw new PenniError("bad-option", "what to train is not fully given", {
      expected: "penni train MODEL --data SPEC -o DIR, or penni train --resume DIR",
    });
  }
  const [{ prepareTraining }, { resolveDevice }] = await Promise.all([
    import("../run/prepare_training.js"),
    import("../execute/resolve.js"),
  ]);
  await resolveDevice(options.device);
  const classes = await classNamesOf(options);
  return prepareTraining({
    model,
    data,
    out,
    seed,
    settings: await trainingSettings(options),
    ...(classes === undefined ? {} : { classes }),
    ...(teacher === undefined ? {} : { teacher }),
    ...(inputShape === undefined ? {} : { inputShapes: inputShape }),
    pictures: givenPictureOptions(options),
    onPictures: (format) => printPictures(terminal.stderr, format),
  });
}
