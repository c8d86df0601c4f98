/**
 * Images per second of one training step (forward, backward, update) of the paper's networks, ours against
 * PyTorch's on the CPU: `npm run bench:train -- [--networks LIST] [--torchvision LIST] [--repetitions N] [--threads N] [--device NAME] [--json]`.
 * Each side is a process of its own; they take turns, and the medians of all timed steps are compared.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import { deviceOption, wholeNumber } from "../src/cli/options.js";
import { formatTable } from "../src/cli/table.js";
import { lineWidth } from "../src/cli/terminal.js";
import type { Device } from "../src/execute/device.js";
import { resolveDevice } from "../src/execute/resolve.js";
import { PenniError } from "../src/graph/errors.js";
import { median } from "../src/measure/median.js";
import { trainerEnvironment, trainerFlags } from "../src/run/training/launch.js";
import { benchmarkNetworks, type NetworkName } from "../support/benchmark_networks.js";
import { type DecomposedPhase, decomposedPhases } from "../support/benchmark_training.js";
import { runBenchmark } from "./command.js";
import { findPyTorch, PYTORCH_ADVICE, pytorchScript } from "./pytorch.js";
import { Side } from "./side.js";

interface TrainOptions {
  readonly networks: readonly NetworkName[];
  readonly torchvision: readonly string[];
  readonly repetitions: number;
  readonly threads: number;
  readonly device: Device;
  readonly decomposed?: boolean;
  readonly json?: boolean;
}

/** What one row measures. */
interface Case {
  /** Name of the network on PyTorch's side. */
  readonly network: string;
  /** What our side trains: the name of one of ours, or an ONNX file. */
  readonly source: string;
  readonly batch: number;
  /** Height and width of the images. */
  readonly size: number;
  readonly threads: number;
  /** What our side runs on; PyTorch runs on the CPU. */
  readonly device: Device;
  /** Where the network is decomposed, with the paper's basis: which of its factors train. */
  readonly phase?: DecomposedPhase;
}

/** Images per second, and the largest resident memory of each process; null where there is no PyTorch. */
interface Row {
  readonly network: string;
  readonly batch: number;
  readonly ours: number;
  readonly torch: number | null;
  readonly ratio: number | null;
  readonly peakMiB: number | null;
  readonly torchPeakMiB: number | null;
}

const WARMUP_STEPS = 3;
/** As in training, a step mostly follows another: only the first of a turn finds the other side's data in the caches. */
const STEPS_PER_TURN = 4;
/** Between two turns: thread pools spin for a while after their last work. */
const PAUSE_MS = 300;
/** The paper's basis. */
const BASIS = 5;
/** The paper's networks take CIFAR-10's images. */
const CIFAR_SIZE = 32;
/** Torchvision's networks take larger ones. */
const TORCHVISION = { size: 96, batch: 32 };

const names = Object.keys(benchmarkNetworks) as NetworkName[];

function networkList(text: string): readonly NetworkName[] {
  if (text === "none") return [];
  return nameList(text).map((part) => {
    const name = names.find((known) => known === part);
    if (name !== undefined) return name;
    throw new InvalidArgumentError(`expected some of ${names.join(",")}, found "${part}"`);
  });
}

function nameList(text: string): readonly string[] {
  return text.split(",").map((name) => name.trim());
}

const program = new Command("bench:train")
  .description("images per second of a training step, against PyTorch on the CPU")
  .option("--networks <list>", `some of ${names.join(",")}, or none`, networkList, names)
  .option(
    "--torchvision <list>",
    `also classifiers of torchvision, such as mobilenet_v2 (${TORCHVISION.size}x${TORCHVISION.size}, batch ${TORCHVISION.batch})`,
    nameList,
    [],
  )
  .option("--repetitions <n>", "turns of each side", wholeNumber(1), 5)
  .option(
    "--threads <n>",
    "threads of each side (default: one per core)",
    wholeNumber(1),
    availableParallelism(),
  )
  .addOption(deviceOption("what our side runs on"))
  .option("--decomposed", "also time both phases of the decomposed networks")
  .option("--json", "print the rows as one JSON object")
  .action(runTrain);

async function runTrain(options: TrainOptions): Promise<void> {
  const { provider } = await resolveDevice(options.device);
  if (options.device === "auto") process.stderr.write(`device: ${provider}\n`);
  const python = findPyTorch();
  if (python === undefined) process.stderr.write(`${PYTORCH_ADVICE}\n`);
  const folder = await mkdtemp(path.join(tmpdir(), "penni-train-"));
  const rows: Row[] = [];
  try {
    const exported = options.torchvision.map((name) => exportTorchvision(python, folder, name));
    for (const example of cases({ ...options, device: provider }, exported)) {
      process.stderr.write(`${label(example)} ...\n`);
      rows.push(await measure(example, python, options.repetitions));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${options.json === true ? JSON.stringify({ rows }) : describe(rows)}\n`);
}

type Subject = Pick<Case, "network" | "source" | "batch" | "size">;

/** One of torchvision's networks as an ONNX file; PyTorch must be there. */
function exportTorchvision(python: string | undefined, folder: string, name: string): Subject {
  const source = path.join(folder, `${name}.onnx`);
  const { size, batch } = TORCHVISION;
  const script = [pytorchScript("export_torchvision.py"), name, String(size), source];
  const { status } = spawnSync(python ?? "python3", script, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0)
    throw new PenniError("unsupported", `torchvision's ${name} could not be exported`, {
      advice: "apt-get install python3-torchvision; names are those of torchvision.models",
    });
  return { network: `torchvision:${name}`, source, batch, size };
}

function cases(
  { networks, threads, device, decomposed }: TrainOptions,
  exported: readonly Subject[],
): readonly Case[] {
  const ours = networks.map((network): Subject => {
    return { network, source: network, batch: benchmarkNetworks[network].batch, size: CIFAR_SIZE };
  });
  return [...ours, ...exported].flatMap((subject) => {
    const plain: Case = { ...subject, threads, device };
    return decomposed === true ? [plain, ...decomposedPhases.map((phase) => ({ ...plain, phase }))] : [plain];
  });
}

function label({ network, phase }: Case): string {
  return phase === undefined ? network : `${network}, ${phase} (d = ${BASIS})`;
}

async function measure(example: Case, python: string | undefined, repetitions: number): Promise<Row> {
  const { network, source, batch, size, threads, device } = example;
  const common = [batch, threads, WARMUP_STEPS].map(String);
  const factors = example.phase === undefined ? [] : [String(BASIS), example.phase];
  const ourScript = fileURLToPath(new URL("train_side.js", import.meta.url));
  const sides: Side[] = [];
  try {
    const ourCommand = [...trainerFlags, ourScript, source, ...common, device, ...factors];
    sides.push(await Side.start("Penni", process.execPath, ourCommand, trainerEnvironment));
    if (python !== undefined)
      sides.push(
        await Side.start("PyTorch", python, [
          pytorchScript("train_step.py"),
          network,
          String(size),
          ...common,
          ...factors,
        ]),
      );
    const [ours = Number.NaN, torch] = await takeTurns(sides, repetitions);
    const speed = (milliseconds: number): number => (1000 * batch) / milliseconds;
    return {
      network: label(example),
      batch,
      ours: speed(ours),
      torch: torch === undefined ? null : speed(torch),
      ratio: torch === undefined ? null : torch / ours,
      peakMiB: sides[0]?.peakMiB() ?? null,
      torchPeakMiB: sides[1]?.peakMiB() ?? null,
    };
  } finally {
    for (const side of sides) await side.stop();
  }
}

/** Median milliseconds of a step, by side. */
async function takeTurns(sides: readonly Side[], repetitions: number): Promise<readonly number[]> {
  const times = sides.map((): number[] => []);
  for (let turn = 0; turn < repetitions; turn++) {
    for (const [index, side] of sides.entries()) {
      await sleep(PAUSE_MS);
      times[index]?.push(...(await side.run(STEPS_PER_TURN)));
    }
  }
  return times.map(median);
}

function describe(rows: readonly Row[]): string {
  const number = (value: number | null, digits: number): string => value?.toFixed(digits) ?? "-";
  return formatTable(
    [
      { title: "network", cell: (row) => row.network, dropOrder: 0 },
      { title: "batch", cell: (row) => `${row.batch}`, align: "right", dropOrder: 0 },
      { title: "images/s", cell: (row) => number(row.ours, 1), align: "right", dropOrder: 0 },
      { title: "PyTorch", cell: (row) => number(row.torch, 1), align: "right", dropOrder: 0 },
      { title: "ratio", cell: (row) => number(row.ratio, 2), align: "right", dropOrder: 0 },
      { title: "peak MiB", cell: (row) => number(row.peakMiB, 0), align: "right", dropOrder: 0 },
      { title: "PyTorch", cell: (row) => number(row.torchPeakMiB, 0), align: "right", dropOrder: 0 },
    ],
    rows,
    lineWidth(process.stdout),
  );
}

await runBenchmark(program);
