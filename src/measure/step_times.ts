import type { Backend, ModuleExecution, ModulePort } from "../compile/backend.js";
import { binary, constant, KernelBuilder, multiplyAdd } from "../compile/kernel_builder.js";
import type { Program, Step } from "../compile/program.js";
import { at } from "../graph/at.js";
import { elementCount } from "../graph/tensor.js";
import { deeper, FRAMES } from "./by_turns.js";
import { gigaflops } from "./gigaflops.js";
import type { Interval } from "./interval.js";

/** What of the host's WebAssembly is used: Node's types leave it out. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

/** One call of a kernel and how long it takes. */
export interface StepTime {
  readonly step: Step;
  /** Milliseconds, in a run of the whole network. */
  readonly ms: number;
}

/** The times of a network and of its parts, which add up. */
export interface StepTimes {
  readonly steps: readonly StepTime[];
  /** Milliseconds of a whole run, inputs written and outputs read. */
  readonly wholeMs: number;
  /** The fastest and the slowest of the whole runs that count. */
  readonly wholeRange: Interval;
  /** What of it is in no step: copies of inputs and outputs, calls. Negative where reading the clock costs more. */
  readonly remainderMs: number;
  readonly runs: number;
}

/** All runs together, whole and in steps. */
const MEASURING_MS = 4000;
const FEWEST_RUNS = 15;
const MOST_RUNS = 1000;
/** Enough for an engine to replace its first, quick code. */
const WARM_UP_MS = 300;
const FEWEST_WARM_UPS = 3;

/**
 * How long each step of a program takes as a module on this host, on one thread: in order, within whole runs, with
 * the network's own memory, so that caches hold what they hold in use. Runs that stop the clock at every step and runs
 * that do not take turns; of both the fastest runs count (those that other work interrupts do not), and of them the
 * mean, so that the steps add up to the whole.
 * @param measuringMs for all runs together, as far as they are enough
 * @param onProgress gets the number of runs that are done
 */
export async function measureSteps(
  program: Program,
  execution: ModuleExecution,
  {
    measuringMs = MEASURING_MS,
    onProgress = () => undefined,
  }: {
    readonly measuringMs?: number;
    readonly onProgress?: (done: number, total: number) => void;
  } = {},
): Promise<StepTimes> {
  const network = instantiate(program, execution);
  let warm = 0;
  const started = performance.now();
  while (warm < FEWEST_WARM_UPS || performance.now() - started < WARM_UP_MS) {
    network.whole(wallClock);
    network.steps(wallClock);
    warm++;
  }
  const perPair = (performance.now() - started) / warm;
  const clock = clockFor(perPair / 2);
  const runs = Math.round(Math.min(Math.max(measuringMs / perPair, FEWEST_RUNS), MOST_RUNS));
  const wholes: number[] = [];
  const stepped: (readonly number[])[] = [];
  for (let run = 0; run < runs; run++) {
    // Both at another depth of the stack in each run, as `measureByTurns` says.
    wholes.push(deeper(run * FRAMES, () => network.whole(clock)));
    stepped.push(deeper(run * FRAMES, () => network.steps(clock)));
    onProgress(run + 1, runs);
    if (run % YIELD_EVERY === 0) await new Promise(setImmediate);
  }
  const countedWholes = fastest(wholes, (ms) => ms);
  const wholeMs = mean(countedWholes);
  const wholeRange = { low: Math.min(...countedWholes), high: Math.max(...countedWholes) };
  const counted = fastest(stepped, total);
  const steps = program.steps.map((step, index) => ({
    step,
    ms: mean(counted.map((run) => at(run, index))),
  }));
  return { steps, wholeMs, wholeRange, remainderMs: wholeMs - total(steps.map(({ ms }) => ms)), runs };
}

/** Runs after which others may do something, such as drawing a bar. */
const YIELD_EVERY = 8;

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
const mean = (values: readonly number[]): number => total(values) / values.length;

/** Share of the runs that count: few, as on a busy machine most are interrupted. */
const COUNTED = 0.05;
const FEWEST_COUNTED = 3;

function fastest<Run>(runs: readonly Run[], milliseconds: (run: Run) => number): readonly Run[] {
  const sorted = runs.toSorted((a, b) => milliseconds(a) - milliseconds(b));
  return sorted.slice(0, Math.max(FEWEST_COUNTED, Math.ceil(runs.length * COUNTED)));
}

interface MeasuredNetwork {
  /** @returns milliseconds of a run */
  whole(clock: Clock): number;
  /** A run, step by step. @returns milliseconds of each */
  steps(clock: Clock): readonly number[];
}

/** In milliseconds. */
type Clock = () => number;

const wallClock: Clock = () => performance.now();

/** Time that this process has had of the processor: others that have their turn do not count. */
const processorClock: Clock = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** On a busy machine a longer run is always interrupted. */
const LONGEST_UNINTERRUPTED_MS = 5;

/** The processor's time counts microseconds, too coarse for short runs, and on Windows much more. */
function clockFor(runMs: number): Clock {
  return runMs > LONGEST_UNINTERRUPTED_MS && process.platform !== "win32" ? processorClock : wallClock;
}

function instantiate(program: Program, execution: ModuleExecution): MeasuredNetwork {
  const { exports } = instanceOf(program, execution, true);
  const run = functionOf(exports, "run");
  const steps = program.steps.map((_, index) => functionOf(exports, execution.stepName(index)));
  const { buffer } = exports.memory as { readonly buffer: ArrayBuffer };
  const ports = execution.ports(program);
  const view = ({ address, dims }: ModulePort): Float32Array =>
    new Float32Array(buffer, address, elementCount(dims));
  const inputs = ports.inputs.map((port) => {
    const memory = view(port);
    return { memory, sample: memory.map((_, index) => Math.sin(index)) };
  });
  const outputs = ports.outputs.map(view);
  const write = (): void => {
    for (const { memory, sample } of inputs) memory.set(sample);
  };
  return {
    whole: (clock) => {
      const started = clock();
      write();
      run();
      for (const output of outputs) output.slice();
      return clock() - started;
    },
    steps: (clock) => {
      write();
      let before = clock();
      return steps.map((step) => {
        step();
        const now = clock();
        const ms = now - before;
        before = now;
        return ms;
      });
    },
  };
}

/** With relaxed SIMD where the host has it, as the loader does. */
function instanceOf(
  program: Program,
  execution: ModuleExecution,
  exportsSteps: boolean,
): { readonly exports: Readonly<Record<string, unknown>> } {
  const relaxed = execution.module(program, { exportsSteps, isRelaxed: true });
  const bytes = WebAssembly.validate(relaxed) ? relaxed : execution.module(program, { exportsSteps });
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
}

function functionOf(exports: Readonly<Record<string, unknown>>, name: string): () => void {
  const found = exports[name];
  if (typeof found !== "function") throw new Error(`a module without ${name}`);
  return () => {
    found();
  };
}

const REPETITIONS = 7;

/** Milliseconds of one run, the lowest of several. */
function timeAlone(program: Program, execution: ModuleExecution): number {
  const run = functionOf(instanceOf(program, execution, false).exports, "run");
  const started = performance.now();
  while (performance.now() - started < WARM_UP_MS / 10) run();
  return Math.min(
    ...Array.from({ length: REPETITIONS }, () => {
      const before = performance.now();
      run();
      return performance.now() - before;
    }),
  );
}

const PEAK_ITERATIONS = 100_000;
const PEAK_SUMS = 12;

/** Billions of multiplications and additions a second of vectors that stay in registers: what no kernel can exceed. */
export function measurePeak({ target: { width }, execution }: Backend<ModuleExecution>): number {
  const k = new KernelBuilder("peak", "Multiply-adds in registers.");
  const output = k.output("output");
  const sums = Array.from({ length: PEAK_SUMS }, (_, i) => k.value("sum", "vector", constant(i)));
  k.loop("i", 0, PEAK_ITERATIONS, 1, () => {
    for (const sum of sums) sum.set(multiplyAdd(sum.read, constant(0.999), constant(0.001)));
  });
  const total = sums.map((sum) => sum.read).reduce((left, right) => binary("add", left, right));
  k.store("vector", output, 0, total);
  const buffer = { kind: "output", id: 0, size: width } as const;
  const step: Step = {
    kernel: k.build(),
    arguments: [{ buffer, offset: 0 }],
    node: "peak",
    op: "peak",
    multiplyAccumulates: PEAK_ITERATIONS * PEAK_SUMS * width,
  };
  const port = { name: "output", dims: [width], elementType: "float32", buffer } as const;
  const program: Program = {
    name: "peak",
    inputs: [],
    outputs: [port],
    preparation: [],
    steps: [step],
    weights: new Uint8Array(),
    weightOffsets: new Map(),
    metadata: new Map(),
  };
  return gigaflops(step.multiplyAccumulates, timeAlone(program, execution));
}
