/**
 * Ways to compress with equal epochs, one against the other: each variant and seed is one `penni compress` of ResNet-20 on
 * CIFAR-10. What is finished stays in the directory and is not run again, so this can be stopped at any time:
 * `node dist/bench/recipe.js -o DIR [--only NAME ...] [--seeds 2] [--epochs 6] [--target-macs 0.4] [--model FILE]`.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Command } from "commander";
import { numberBetween, wholeNumber } from "../src/cli/options.js";
import { formatTable } from "../src/cli/table.js";
import { sharedPath } from "../support/shared.js";
import { runBenchmark } from "./command.js";
import { type CompressionOutcome, compressOnce } from "./compression_run.js";
import { meanAndDeviation } from "./results/table.js";

/** Options of `penni compress` beside target and seed; `epochs` are spent in all. */
type Variant = (epochs: number) => readonly string[];

/** Retraining and fine-tuning take these parts of the epochs. */
function split(epochs: number, retraining: number): readonly string[] {
  const first = Math.round(2 * epochs * retraining) / 2;
  return ["--epochs", `${first}`, "--fine-tune-epochs", `${epochs - first}`];
}

const fast: Variant = (epochs) => split(epochs, 0.25);
const calibrated: Variant = (epochs) => ["--start", "calibrate", "--basis", "auto", ...split(epochs, 0)];
const gradual: Variant = (epochs) => ["--gradual", "--l1", "0", "--phases", "joint", ...split(epochs, 0.5)];

/** All variants, each a change of one thing from another. */
const variants: Readonly<Record<string, Variant>> = {
  fast,
  "fast, joint": (epochs) => [...fast(epochs), "--phases", "joint"],
  "fast, labels only": (epochs) => [...fast(epochs), "--loss", "labels"],
  "fast, original only": (epochs) => [...fast(epochs), "--loss", "distill"],
  "fast, ema": (epochs) => [...fast(epochs), "--ema", "0.998"],
  "fast, twice the rate": (epochs) => [...fast(epochs), "--fine-tune-lr", "0.04"],
  "fast, d = 4": (epochs) => [...fast(epochs), "--basis", "4"],
  "fast, d = 6": (epochs) => [...fast(epochs), "--basis", "6"],
  gradual,
  "gradual, alternating": (epochs) => [
    "--gradual",
    "--l1",
    "0",
    "--phases",
    "alternating",
    ...split(epochs, 0.5),
  ],
  "gradual, twice the rate": (epochs) => [...gradual(epochs), "--lr", "0.02", "--fine-tune-lr", "0.04"],
  "gradual, five times the rate": (epochs) => [...gradual(epochs), "--lr", "0.05", "--fine-tune-lr", "0.02"],
  calibrated,
  "calibrated, twice the rate": (epochs) => [...calibrated(epochs), "--fine-tune-lr", "0.04"],
  "calibrated, five times the rate": (epochs) => [...calibrated(epochs), "--fine-tune-lr", "0.1"],
  "calibrated, one cycle": (epochs) => [
    ...calibrated(epochs),
    "--schedule",
    "one-cycle",
    "--fine-tune-lr",
    "0.05",
  ],
  "calibrated, ema": (epochs) => [...calibrated(epochs), "--ema", "0.998"],
  "calibrated, zeros come back": (epochs) => [
    "--start",
    "calibrate",
    "--basis",
    "auto",
    "--gradual",
    "--l1",
    "0",
    "--phases",
    "joint",
    ...split(epochs, 0.5),
  ],
};

interface Options {
  readonly out: string;
  readonly only?: readonly string[];
  readonly seeds: number;
  readonly epochs: number;
  readonly targetMacs: number;
  readonly model: string;
  readonly trainLimit?: number;
}

const program = new Command("recipe")
  .description("ways to compress ResNet-20 with equal epochs, one against the other")
  .requiredOption("-o, --out <dir>", "where outcomes are kept")
  .option("--only <names...>", `of: ${Object.keys(variants).join("; ")}`)
  .option("--seeds <n>", "runs of each variant", wholeNumber(1), 2)
  .option("--epochs <n>", "epochs of each run in all", numberBetween(0.5, 1e3), 6)
  .option(
    "--target-macs <f>",
    "fraction of the multiply-accumulates that is left",
    numberBetween(0.01, 1),
    0.4,
  )
  .option("--model <file>", "the trained network", sharedPath("models/resnet20.onnx"))
  .option("--train-limit <n>", "use only so many training images", wholeNumber(1))
  .action(compare);

async function compare(options: Options): Promise<void> {
  await mkdir(options.out, { recursive: true });
  const names = options.only ?? Object.keys(variants);
  const rows: { name: string; outcomes: CompressionOutcome[] }[] = names.map((name) => ({
    name,
    outcomes: [],
  }));
  // Every variant once before any a second time: what is there after an interruption can be compared.
  for (let seed = 0; seed < options.seeds; seed++)
    for (const { name, outcomes } of rows) outcomes.push(await outcomeOf(name, seed, options));
  const percent = (share: number): string => (100 * share).toFixed(2);
  const text = formatTable(
    [
      { title: "variant", cell: ({ name }) => name, dropOrder: 0 },
      {
        title: "top-1 %",
        cell: ({ outcomes }) => {
          const { mean, deviation } = meanAndDeviation(outcomes.map(({ test }) => test));
          return deviation === undefined ? percent(mean) : `${percent(mean)} ± ${percent(deviation)}`;
        },
        align: "right",
        dropOrder: 0,
      },
      {
        title: "each",
        cell: ({ outcomes }) => outcomes.map(({ test }) => percent(test)).join(" "),
        dropOrder: 0,
      },
      {
        title: "MACs %",
        cell: ({ outcomes }) => outcomes.map(({ macs }) => percent(macs)).join(" "),
        dropOrder: 0,
      },
      {
        title: "parameters %",
        cell: ({ outcomes }) => outcomes.map(({ parameters }) => percent(parameters)).join(" "),
        dropOrder: 0,
      },
      {
        title: "min",
        cell: ({ outcomes }) => outcomes.map(({ seconds }) => (seconds / 60).toFixed(1)).join(" "),
        dropOrder: 0,
      },
    ],
    rows,
    200,
  );
  process.stdout.write(`${text}\n`);
}

async function outcomeOf(name: string, seed: number, options: Options): Promise<CompressionOutcome> {
  const variant = variants[name];
  if (variant === undefined)
    throw new Error(`there is no variant "${name}": ${Object.keys(variants).join("; ")}`);
  const { out, epochs, targetMacs, model, trainLimit } = options;
  const stem = path.join(
    out,
    `${name.replaceAll(/\W+/g, "-")}-${epochs}-${targetMacs}-${trainLimit ?? "all"}-${seed}`,
  );
  const file = `${stem}.json`;
  if (existsSync(file)) return JSON.parse(await readFile(file, "utf8")) as CompressionOutcome;
  // A run that was cut short has no outcome; its seconds would not be those of one run.
  await rm(stem, { recursive: true, force: true });
  const outcome = await compressOnce(stem, [
    model,
    "--data",
    `cifar10:${sharedPath("data/cifar10")}`,
    "--seed",
    `${seed}`,
    "--target-macs",
    `${targetMacs}`,
    ...(trainLimit === undefined ? [] : ["--train-limit", `${trainLimit}`]),
    ...variant(epochs),
  ]);
  await writeFile(file, `${JSON.stringify(outcome)}\n`);
  await rm(stem, { recursive: true });
  return outcome;
}

await runBenchmark(program);
