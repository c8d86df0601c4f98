/**
 * A whole compression of ResNet-20 on CIFAR-10, ours against the authors' published procedure in PyTorch
 * (`pytorch/penni_run.py`: dense weights in every step, nothing shrunk), one after the other, with the same
 * number of epochs over the same number of images:
 * `npm run bench:run -- [--epochs N] [--fine-tune-epochs N] [--train-limit N] [-- OPTION OF COMPRESS ...]`.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { Command } from "commander";
import { numberBetween, wholeNumber } from "../src/cli/options.js";
import { formatTable } from "../src/cli/table.js";
import { lineWidth } from "../src/cli/terminal.js";
import { runBenchmark } from "./command.js";
import { type CompressionOutcome, compressOnce } from "./compression_run.js";
import { findPyTorch, PYTORCH_ADVICE } from "./pytorch.js";
import { compressInPyTorch } from "./pytorch_run.js";

interface RunOptions {
  readonly model: string;
  readonly data: string;
  readonly epochs: number;
  readonly fineTuneEpochs: number;
  readonly trainLimit?: number;
  readonly threads: number;
  readonly out?: string;
  readonly json?: boolean;
}

const program = new Command("bench:run")
  .description("a whole compression of ResNet-20, against the published procedure in PyTorch")
  .option("--model <file>", "the trained ResNet-20", "../shared/models/resnet20.onnx")
  .option("--data <dir>", "CIFAR-10 in its binary layout", "../shared/data/cifar10")
  .option("--epochs <n>", "epochs of retraining", numberBetween(0, 1e6), 8)
  .option("--fine-tune-epochs <n>", "epochs of fine-tuning", numberBetween(0, 1e6), 4)
  .option("--train-limit <n>", "use only so many training images", wholeNumber(1))
  .option(
    "--threads <n>",
    "threads of each side (default: one per core)",
    wholeNumber(1),
    availableParallelism(),
  )
  .option("-o, --out <dir>", "keep both runs here (default: a temporary directory that is removed)")
  .option("--json", "print the outcome as one JSON object")
  .argument("[compress...]", "options of penni compress, after --")
  .action(runBoth);

async function runBoth(extra: readonly string[], options: RunOptions): Promise<void> {
  const python = findPyTorch();
  if (python === undefined) process.stderr.write(`${PYTORCH_ADVICE}\n`);
  const folder = options.out ?? (await mkdtemp(path.join(tmpdir(), "penni-run-")));
  try {
    await mkdir(folder, { recursive: true });
    const ours = await compressOnce(path.join(folder, "penni"), [
      options.model,
      "--data",
      `cifar10:${options.data}`,
      ...lengths(options),
      ...extra,
    ]);
    const { model, data } = options;
    const torch =
      python === undefined
        ? undefined
        : await compressInPyTorch(python, folder, { model, data, options: lengths(options) });
    const ratio = torch === undefined ? null : ours.seconds / torch.seconds;
    const text =
      options.json === true ? JSON.stringify({ ours, torch: torch ?? null, ratio }) : describe(ours, torch);
    process.stdout.write(`${text}\n`);
  } finally {
    if (options.out === undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Options that both sides know. */
function lengths({ epochs, fineTuneEpochs, trainLimit, threads }: RunOptions): readonly string[] {
  const numbers = { "--epochs": epochs, "--fine-tune-epochs": fineTuneEpochs, "--threads": threads };
  const limit = trainLimit === undefined ? {} : { "--train-limit": trainLimit };
  return Object.entries({ ...numbers, ...limit })
    .flat()
    .map(String);
}

function describe(ours: CompressionOutcome, torch: CompressionOutcome | undefined): string {
  const rows = [{ name: "Penni", ...ours }, ...(torch === undefined ? [] : [{ name: "PyTorch", ...torch }])];
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  const table = formatTable(
    [
      { title: "", cell: (row) => row.name, dropOrder: 0 },
      { title: "seconds", cell: (row) => row.seconds.toFixed(1), align: "right", dropOrder: 0 },
      { title: "top-1, test", cell: (row) => percent(row.test), align: "right", dropOrder: 0 },
      { title: "parameters", cell: (row) => percent(row.parameters), align: "right", dropOrder: 0 },
      { title: "MACs (paper count)", cell: (row) => percent(row.macs), align: "right", dropOrder: 0 },
    ],
    rows,
    lineWidth(process.stdout),
  );
  if (torch === undefined) return table;
  return `${table}\n\ntime, ours to PyTorch's: ${(ours.seconds / torch.seconds).toFixed(2)}`;
}

await runBenchmark(program);
