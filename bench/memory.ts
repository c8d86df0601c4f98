/**
 * Whether the memory of a training process stays flat: resident memory at step 200 against the last step of
 * ResNet-20 (decomposed, phases taking turns, with data, checkpoints and validation), and with the 5th against the
 * last of many sessions that are opened, run and released one after the other:
 * `npm run bench:memory -- [--batch N] [--steps N] [--rebuilds N] [--threads N]`.
 * Ends with status 1 where one of them grows by more than 5 %.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Command, Option } from "commander";
import { wholeNumber } from "../src/cli/options.js";
import { writeModel } from "../src/files/model_files.js";
import type { Graph } from "../src/graph/types.js";
import { median } from "../src/measure/median.js";
import { decompose } from "../src/method/decompose.js";
import { trainerEnvironment, trainerFlags } from "../src/run/training/launch.js";
import { Trainer } from "../src/train/trainer.js";
import { benchmarkNetworks } from "../support/benchmark_networks.js";
import { benchPlan, openTraining } from "../support/benchmark_training.js";
import { runBenchmark } from "./command.js";

/** Each part runs in a process of its own, so that memory one part has freed does not hide what another keeps. */
type Part = "steps" | "rebuilds";

interface MemoryOptions {
  readonly batch: number;
  readonly steps: number;
  readonly rebuilds: number;
  readonly threads: number;
  readonly part?: Part;
}

/** Resident memory in MiB at two moments of one process. */
interface Growth {
  readonly early: number;
  readonly late: number;
}

const TOLERANCE = 0.05;
const EARLY_STEP = 200;
/** Samples this far from a step count as taken at it. */
const WINDOW = 50;
const EARLY_REBUILD = 5;
const STEPS_PER_SESSION = 5;
const BASIS = 5;
const IMAGES = 2000;

const program = new Command("bench:memory")
  .description("growth of a training process's resident memory")
  .option("--batch <n>", "images in a batch", wholeNumber(1), 16)
  .option("--steps <n>", "steps of the run", wholeNumber(EARLY_STEP + 2 * WINDOW), 3000)
  .option("--rebuilds <n>", "sessions opened and released", wholeNumber(EARLY_REBUILD + 1), 30)
  .option(
    "--threads <n>",
    "threads of the runtime (default: one per core)",
    wholeNumber(1),
    availableParallelism(),
  )
  .addOption(new Option("--part <name>", "one part, as JSON").choices(["steps", "rebuilds"]).hideHelp())
  .action(runMemory);

async function runMemory(options: MemoryOptions): Promise<void> {
  if (options.part !== undefined) {
    const growth = await parts[options.part](options);
    process.stdout.write(`${JSON.stringify(growth)}\n`);
    return;
  }
  const { batch, steps, rebuilds } = options;
  const overSteps = await inOwnProcess("steps", options);
  report(`ResNet-20, batch ${batch}, step ${EARLY_STEP} to ${steps}`, overSteps);
  const overRebuilds = await inOwnProcess("rebuilds", options);
  report(`session ${EARLY_REBUILD} to ${rebuilds}`, overRebuilds);
}

async function inOwnProcess(part: Part, options: MemoryOptions): Promise<Growth> {
  const { batch, steps, rebuilds, threads } = options;
  const numbers = Object.entries({ batch, steps, rebuilds, threads }).flatMap(([name, value]) => [
    `--${name}`,
    String(value),
  ]);
  const script = fileURLToPath(import.meta.url);
  const command = [...trainerFlags, script, "--part", part, ...numbers];
  const { stdout } = await promisify(execFile)(process.execPath, command, { env: trainerEnvironment });
  return JSON.parse(stdout) as Growth;
}

function report(what: string, { early, late }: Growth): void {
  const growth = late / early - 1;
  const isFlat = growth <= TOLERANCE;
  process.stdout.write(
    `${what}: ${early.toFixed(0)} MiB to ${late.toFixed(0)} MiB, ${(100 * growth).toFixed(1)} %` +
      `${isFlat ? "" : `, more than ${100 * TOLERANCE} %`}\n`,
  );
  if (!isFlat) process.exitCode = 1;
}

const parts: Readonly<Record<Part, (options: MemoryOptions) => Promise<Growth>>> = {
  steps: growthOverSteps,
  rebuilds: growthOverRebuilds,
};

/** A training stage as `penni compress` runs it, with samples of the memory by step. */
async function growthOverSteps({ batch, steps, threads }: MemoryOptions): Promise<Growth> {
  const folder = await mkdtemp(path.join(tmpdir(), "penni-memory-"));
  const file = (name: string): string => path.join(folder, name);
  const network = decomposedNetwork();
  const plan = benchPlan(network, { batch, threads });
  const validation = 0.05;
  const stepsPerEpoch = Math.floor((IMAGES * (1 - validation)) / batch);
  const samples: { step: number; memory: number }[] = [];
  try {
    await writeModel(file("network.onnx"), network);
    await Trainer.run(
      {
        ...plan,
        network: file("network.onnx"),
        result: file("result.onnx"),
        checkpoint: file("checkpoint"),
        data: { ...plan.data, spec: `synthetic:${IMAGES}`, validation },
        epochs: steps / stepsPerEpoch,
        checkpointSeconds: 10,
      },
      {
        progress: ({ step }) => samples.push({ step, memory: residentMiB() }),
        epoch: () => undefined,
        timing: () => undefined,
        notice: () => undefined,
        stopRequested: () => false,
      },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
  const around = (middle: number): number =>
    median(samples.filter(({ step }) => Math.abs(step - middle) <= WINDOW).map(({ memory }) => memory));
  return { early: around(EARLY_STEP), late: around(steps - WINDOW) };
}

async function growthOverRebuilds({ batch, rebuilds, threads }: MemoryOptions): Promise<Growth> {
  const network = decomposedNetwork();
  const memory: number[] = [];
  for (let rebuild = 0; rebuild < rebuilds; rebuild++) {
    const training = await openTraining(network, { batch, threads });
    for (let step = 0; step < STEPS_PER_SESSION; step++) await training.step();
    memory.push(residentMiB());
    await training.release();
  }
  const [early = Number.NaN, late = Number.NaN] = [memory[EARLY_REBUILD - 1], memory.at(-1)];
  return { early, late };
}

function decomposedNetwork(): Graph {
  return decompose(benchmarkNetworks.resnet20.build(), { basis: BASIS });
}

function residentMiB(): number {
  return process.memoryUsage.rss() / 2 ** 20;
}

await runBenchmark(program);
