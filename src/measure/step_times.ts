import { binary, constant, KernelBuilder, multiplyAdd } from "../compile/kernel_builder.js";
import { type Program, type Step, WEIGHT_ALIGNMENT } from "../compile/program.js";
import { wasmModule } from "../compile/wasm/module.js";
import { gigaflops } from "./gigaflops.js";

/** What of the host's WebAssembly is used: Node's types leave it out. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

/** One call of a kernel and how long it takes. */
export interface StepTime {
  readonly step: Step;
  /** Milliseconds, the lowest of several repetitions. */
  readonly ms: number;
}

/** A repetition lasts at least so long, so that the clock's resolution does not matter. */
const REPETITION_MS = 2;
const REPETITIONS = 7;
/** Enough for an engine to replace its first, quick code. */
const WARM_UP_MS = 20;

/**
 * How long each step of a program takes in WebAssembly on this host, one thread, each step alone in a module (so caches
 * are warmer than in the whole network). Calls of the same kernel for the same node are measured once.
 * @param onProgress gets the number of steps that are done
 */
export async function measureSteps(
  program: Program,
  onProgress: (done: number, total: number) => void = () => undefined,
): Promise<readonly StepTime[]> {
  const known = new Map<string, number>();
  const times: StepTime[] = [];
  for (const step of program.steps) {
    const key = `${step.node} ${step.kernel.name} ${step.multiplyAccumulates}`;
    const ms = known.get(key) ?? timeModule(wasmModule(stepAlone(program, step)));
    known.set(key, ms);
    times.push({ step, ms });
    onProgress(times.length, program.steps.length);
    await new Promise(setImmediate);
  }
  return times;
}

/** The program of one step, with its weights only. */
function stepAlone(program: Program, step: Step): Program {
  const weightOffsets = new Map<number, number>();
  const parts: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  let end = 0;
  for (const { buffer } of step.arguments) {
    const from = program.weightOffsets.get(buffer.id);
    if (from === undefined || weightOffsets.has(buffer.id)) continue;
    weightOffsets.set(buffer.id, end);
    parts.push({ at: end, bytes: program.weights.subarray(from, from + buffer.size) });
    end += Math.ceil(buffer.size / WEIGHT_ALIGNMENT) * WEIGHT_ALIGNMENT;
  }
  const weights = new Uint8Array(end);
  for (const { at, bytes } of parts) weights.set(bytes, at);
  return { ...program, steps: [step], weights, weightOffsets, metadata: new Map() };
}

function timeModule(bytes: Uint8Array): number {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
  const { run } = exports;
  if (typeof run !== "function") throw new Error("a module without run");
  const repeat = (count: number): number => {
    const started = performance.now();
    for (let i = 0; i < count; i++) run();
    return performance.now() - started;
  };
  let runs = 0;
  const started = performance.now();
  while (performance.now() - started < WARM_UP_MS) {
    run();
    runs++;
  }
  const count = Math.max(1, Math.ceil((runs * REPETITION_MS) / WARM_UP_MS));
  return Math.min(...Array.from({ length: REPETITIONS }, () => repeat(count))) / count;
}

const PEAK_ITERATIONS = 100_000;
const PEAK_SUMS = 12;

/** Billions of multiplications and additions a second of vectors that stay in registers: what no kernel can exceed. */
export function measurePeak(width: number): number {
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
  const ms = timeModule(
    wasmModule({
      name: "peak",
      inputs: [],
      outputs: [port],
      steps: [step],
      weights: new Uint8Array(),
      weightOffsets: new Map(),
      metadata: new Map(),
    }),
  );
  return gigaflops(step.multiplyAccumulates, ms);
}
