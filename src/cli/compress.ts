import { availableParallelism } from "node:os";
import { type Command, Option } from "commander";
import type { Device } from "../execute/device.js";
import { PenniError } from "../graph/errors.js";
import type { PresetName, Settings } from "../method/run/config.js";
import type { RunDirectory } from "../method/run/directory.js";
import { describeSummary } from "./compress_text.js";
import { deviceOption, numberBetween, numberList, positiveList, wholeNumber } from "./options.js";
import { lineWidth, type Terminal } from "./terminal.js";
import { compressRun, watched } from "./watched.js";

interface CompressOptions {
  readonly data?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly preset: PresetName;
  readonly basis?: number;
  readonly targetMacs?: number;
  readonly deviations?: number;
  readonly epochs?: number;
  readonly fineTuneEpochs?: number;
  readonly phaseEpochs?: number;
  readonly lr?: number;
  readonly fineTuneLr?: number;
  readonly l1?: number;
  readonly distillation?: number;
  readonly labelSmoothing?: number;
  readonly shrinkWhileTraining: boolean;
  readonly batch?: number;
  readonly seed: number;
  readonly threads?: number;
  readonly device: Device;
  readonly validation?: number;
  readonly trainLimit?: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly checkpointSeconds?: number;
  readonly json?: boolean;
}

/** `penni compress`: the whole method on a model of the user's. */
export function addCompressCommand(program: Command, terminal: Terminal): Command {
  return program
    .command("compress")
    .description("decompose, retrain, prune, fine-tune, shrink and export a classifier")
    .argument("[model]", "an .onnx file")
    .option("--data <spec>", "the images: cifar10:DIRECTORY, folder:DIRECTORY or synthetic")
    .option("-o, --out <dir>", "directory of the run: new or empty")
    .option("--resume <dir>", "go on with a run that was stopped or killed")
    .addOption(new Option("--preset <name>", "named settings").choices(["fast", "paper"]).default("fast"))
    .option("--basis <d>", "basis kernels per layer", wholeNumber(1))
    .addOption(
      new Option("--target-macs <f>", "prune to this fraction of the original's MACs (paper count)")
        .argParser(numberBetween(0, 1))
        .conflicts("deviations"),
    )
    .option(
      "--deviations <x>",
      "prune below x standard deviations (the paper's rule: 1)",
      numberBetween(0, 100),
    )
    .option("--epochs <n>", "epochs of retraining", numberBetween(0, 1e6))
    .option("--fine-tune-epochs <n>", "epochs of fine-tuning", numberBetween(0, 1e6))
    .option("--phase-epochs <n>", "epochs before coefficients and bases take turns", numberBetween(1e-6, 1e6))
    .option("--lr <x>", "first learning rate of retraining", numberBetween(1e-12, 1e3))
    .option("--fine-tune-lr <x>", "first learning rate of fine-tuning", numberBetween(1e-12, 1e3))
    .option("--l1 <x>", "strength of the L1 penalty on the coefficients", numberBetween(0, 1e3))
    .option(
      "--distillation <w>",
      "weight of the original's outputs in the loss; the labels get the rest",
      numberBetween(0, 1),
    )
    .option("--label-smoothing <s>", "share of each label spread over all classes", numberBetween(0, 0.99))
    .option("--no-shrink-while-training", "keep dead channels until the training is over")
    .option("--batch <n>", "images in a batch", wholeNumber(1))
    .option("--seed <n>", "seed of everything random", wholeNumber(0), 0)
    .option("--threads <n>", "threads of the runtime (default: one per core)", wholeNumber(1))
    .addOption(deviceOption("where the training steps run"))
    .option("--validation <f>", "share of the training images held out", numberBetween(0, 0.9))
    .option("--train-limit <n>", "use only so many training images", wholeNumber(1))
    .option("--mean <r,g,b>", "mean per channel, of pixels from 0 to 1", numberList)
    .option("--std <r,g,b>", "standard deviation per channel, likewise", positiveList)
    .option("--checkpoint-seconds <s>", "seconds between checkpoints (30)", numberBetween(0.01, 1e6))
    .option("--json", "print the outcome as JSON")
    .action((model: string | undefined, options: CompressOptions, command: Command) =>
      runCommand(model, options, command, terminal),
    );
}

async function runCommand(
  model: string | undefined,
  options: CompressOptions,
  command: Command,
  terminal: Terminal,
): Promise<void> {
  const run = await openRun(model, options, command);
  const summary = await watched(terminal.stderr, (view, signal) => compressRun(run, view, signal));
  const text =
    options.json === true ? JSON.stringify(summary) : describeSummary(summary, lineWidth(terminal.stdout));
  terminal.stdout.write(`${text}\n`);
}

async function openRun(
  model: string | undefined,
  options: CompressOptions,
  command: Command,
): Promise<RunDirectory> {
  if (options.resume !== undefined) {
    checkResumeAlone(model, command);
    const { RunDirectory } = await import("../method/run/directory.js");
    const elsewhere = command.getOptionValueSource("device") === "cli" ? options.device : undefined;
    return RunDirectory.open(options.resume, elsewhere);
  }
  const { data, out, seed, preset, mean, std } = options;
  if (model === undefined || data === undefined || out === undefined) {
    throw new PenniError("bad-option", "what to compress is not fully given", {
      expected: "penni compress MODEL --data SPEC -o DIR, or penni compress --resume DIR",
    });
  }
  const [{ prepareRun }, { resolveDevice }] = await Promise.all([
    import("../method/run/prepare.js"),
    import("../execute/resolve.js"),
  ]);
  await resolveDevice(options.device);
  return prepareRun({
    model,
    data,
    out,
    preset,
    seed,
    settings: await settingsFrom(options),
    preprocessing: {
      ...(mean === undefined ? {} : { mean: [...mean] }),
      ...(std === undefined ? {} : { std: [...std] }),
    },
  });
}

/** Options that say nothing about the run itself, but where it goes on and what is printed. */
const besideResume: readonly string[] = ["resume", "device", "json", "verbose"];

function checkResumeAlone(model: string | undefined, command: Command): void {
  const given = command.options.filter(
    (option) => command.getOptionValueSource(option.attributeName()) === "cli",
  );
  const extra = given.filter((option) => !besideResume.includes(option.attributeName()));
  if (model === undefined && extra.length === 0) return;
  throw new PenniError("bad-option", "--resume goes on with the run's own model, data and settings", {
    expected: "penni compress --resume DIR",
    found: [...(model === undefined ? [] : [model]), ...extra.map((option) => option.long)].join(", "),
  });
}

/** The preset's settings with what the command line says in their place. */
async function settingsFrom(options: CompressOptions): Promise<Settings> {
  const { presets } = await import("../method/run/config.js");
  const preset = presets[options.preset];
  const { targetMacs, deviations, phaseEpochs, distillation, labelSmoothing } = options;
  const shares = distillation === undefined ? {} : { distillation, crossEntropy: 1 - distillation };
  const stage = (name: "retrain" | "fineTune", epochs?: number, rate?: number): Settings["retrain"] => ({
    ...preset[name],
    ...given({ epochs, phaseEpochs }),
    schedule: { ...preset[name].schedule, ...given({ initial: rate }) },
  });
  return {
    ...preset,
    retrain: stage("retrain", options.epochs, options.lr),
    fineTune: stage("fineTune", options.fineTuneEpochs, options.fineTuneLr),
    ...given({
      basis: options.basis,
      l1: options.l1,
      batch: options.batch,
      validation: options.validation,
      trainLimit: options.trainLimit,
      checkpointSeconds: options.checkpointSeconds,
    }),
    ...(options.shrinkWhileTraining ? {} : { shrinkWhileTraining: "off" }),
    loss: { ...preset.loss, ...shares, ...given({ labelSmoothing }) },
    ...(targetMacs === undefined ? {} : { prune: { rule: "macs", fraction: targetMacs } }),
    ...(deviations === undefined ? {} : { prune: { rule: "deviation", factor: deviations } }),
    threads: options.threads ?? availableParallelism(),
    device: options.device,
  };
}

/** The entries that are not undefined. */
function given<Entries extends Readonly<Record<string, number | undefined>>>(
  entries: Entries,
): { [Key in keyof Entries]?: number } {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Entries]?: number;
  };
}
