/**
 * What shrinking while training saves: the same compression with and without it, by turns, with the seconds of
 * each epoch's training steps and what came out:
 * `npm run bench:shrink -- [--model FILE] [--data SPEC] [--repeats N] [-o DIR] [-- OPTION OF COMPRESS ...]`.
 */
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Command } from "commander";
import { wholeNumber } from "../src/cli/options.js";
import { formatTable } from "../src/cli/table.js";
import { lineWidth } from "../src/cli/terminal.js";
import { median } from "../src/measure/median.js";
import type { EpochTiming } from "../src/train/plan.js";
import { runBenchmark } from "./command.js";
import { type CompressionOutcome, compressOnce } from "./compression_run.js";

interface ShrinkOptions {
  readonly model: string;
  readonly data: string;
  readonly repeats: number;
  readonly out?: string;
  readonly json?: boolean;
}

/** Several runs with the same settings: medians of the times, the rest is the same in all. */
interface Side extends CompressionOutcome {
  readonly name: string;
  readonly trainingSeconds: number;
  readonly epochs: readonly EpochTiming[];
}

interface Run {
  readonly outcome: CompressionOutcome;
  readonly epochs: readonly EpochTiming[];
}

const program = new Command("bench:shrink")
  .description("a compression with and without shrinking while training")
  .option("--model <file>", "the trained network", "../shared/models/resnet20.onnx")
  .option("--data <spec>", "the images, as for compress", "cifar10:../shared/data/cifar10")
  .option("--repeats <n>", "runs of each kind", wholeNumber(1), 1)
  .option("-o, --out <dir>", "keep the runs here (default: a temporary directory that is removed)")
  .option("--json", "print the outcome as one JSON object")
  .argument("[compress...]", "options of penni compress, after --")
  .action(runBoth);

const kinds = {
  shrinking: [],
  unshrunk: ["--no-shrink-while-training"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

type Kind = keyof typeof kinds;

async function runBoth(extra: readonly string[], options: ShrinkOptions): Promise<void> {
  const folder = options.out ?? (await mkdtemp(path.join(tmpdir(), "penni-shrink-")));
  const runs: Record<Kind, Run[]> = { shrinking: [], unshrunk: [] };
  try {
    await mkdir(folder, { recursive: true });
    for (let repeat = 1; repeat <= options.repeats; repeat++) {
      for (const kind of ["shrinking", "unshrunk"] as const) {
        process.stderr.write(`${kind}, run ${repeat} of ${options.repeats}\n`);
        runs[kind].push(await runOnce(path.join(folder, `${kind}-${repeat}`), kind, options, extra));
      }
    }
  } finally {
    if (options.out === undefined) await rm(folder, { recursive: true, force: true });
  }
  const [shrinking, unshrunk] = [summed("shrinking", runs.shrinking), summed("unshrunk", runs.unshrunk)];
  const ratios = {
    training: shrinking.trainingSeconds / unshrunk.trainingSeconds,
    whole: shrinking.seconds / unshrunk.seconds,
  };
  const text =
    options.json === true
      ? JSON.stringify({ shrinking, unshrunk, ratios })
      : [
          describeEpochs(shrinking, unshrunk),
          describeRuns([shrinking, unshrunk]),
          `time with shrinking to without: ${ratios.training.toFixed(2)} in training, ` +
            `${ratios.whole.toFixed(2)} as a whole`,
        ].join("\n\n");
  process.stdout.write(`${text}\n`);
}

async function runOnce(
  root: string,
  kind: Kind,
  { model, data }: ShrinkOptions,
  extra: readonly string[],
): Promise<Run> {
  const outcome = await compressOnce(root, [model, "--data", data, ...kinds[kind], ...extra]);
  return { outcome, epochs: await readTimings(root) };
}

async function readTimings(root: string): Promise<EpochTiming[]> {
  const lines = (await readFile(path.join(root, "timing.jsonl"), "utf8")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as EpochTiming);
}

function summed(name: string, runs: readonly Run[]): Side {
  const [first] = runs;
  if (first === undefined) throw new Error("there is no run");
  const epochs = first.epochs.map((epoch, index) => ({
    ...epoch,
    seconds: median(runs.map((run) => run.epochs[index]?.seconds ?? Number.NaN)),
  }));
  return {
    ...first.outcome,
    name,
    seconds: median(runs.map(({ outcome }) => outcome.seconds)),
    trainingSeconds: epochs.reduce((sum, { seconds }) => sum + seconds, 0),
    epochs,
  };
}

/** Epoch by epoch, both sides. */
function describeEpochs(shrinking: Side, unshrunk: Side): string {
  const rows = shrinking.epochs.map((epoch, index) => ({
    ...epoch,
    other: unshrunk.epochs[index]?.seconds ?? Number.NaN,
  }));
  return formatTable(
    [
      { title: "stage", cell: (row) => row.stage, dropOrder: 0 },
      { title: "epoch", cell: (row) => String(row.epoch), align: "right", dropOrder: 0 },
      { title: "M MACs executed", cell: (row) => (row.macs / 1e6).toFixed(2), align: "right", dropOrder: 0 },
      { title: "seconds", cell: (row) => row.seconds.toFixed(2), align: "right", dropOrder: 0 },
      { title: "unshrunk", cell: (row) => row.other.toFixed(2), align: "right", dropOrder: 0 },
      { title: "ratio", cell: (row) => (row.seconds / row.other).toFixed(2), align: "right", dropOrder: 0 },
    ],
    rows,
    lineWidth(process.stdout),
  );
}

function describeRuns(sides: readonly Side[]): string {
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  return formatTable(
    [
      { title: "", cell: (row) => row.name, dropOrder: 0 },
      {
        title: "training, s",
        cell: (row) => row.trainingSeconds.toFixed(1),
        align: "right",
        dropOrder: 0,
      },
      { title: "whole, s", cell: (row) => row.seconds.toFixed(1), align: "right", dropOrder: 0 },
      { title: "top-1, test", cell: (row) => percent(row.test), align: "right", dropOrder: 0 },
      { title: "parameters", cell: (row) => percent(row.parameters), align: "right", dropOrder: 0 },
      { title: "MACs (paper count)", cell: (row) => percent(row.macs), align: "right", dropOrder: 0 },
    ],
    sides,
    lineWidth(process.stdout),
  );
}

await runBenchmark(program);
