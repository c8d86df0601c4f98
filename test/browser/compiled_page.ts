/** Runs in a browser (see compiled.test.ts): compiles cases, and runs them on the page and in a worker. */
import { compileToWasm } from "../../src/compile/index.js";
import { load } from "../../src/runtime/index.js";
import { bytesOf, type CompiledCase, type CompiledRun, canvasImage, runCompiled } from "./run_compiled.js";

export interface CompiledAnswer {
  readonly name: string;
  readonly page: readonly CompiledRun[];
  readonly worker: readonly CompiledRun[];
  /** Output of the module that the page compiled itself and loaded from a URL. */
  readonly own: readonly number[];
  /** Whether that module is the one that Node compiled, to the byte. */
  readonly isSame: boolean;
}

export type PageAnswer = { readonly answers: readonly CompiledAnswer[] } | { readonly failure: string };

interface WorkerAnswer {
  readonly runs?: readonly CompiledRun[];
  readonly failure?: string;
}

/** The part of a browser that is used; the project compiles without the browser's types. */
interface Browser {
  readonly Worker: new (
    url: URL,
    options: { readonly type: "module" },
  ) => {
    onmessage: (event: { readonly data: WorkerAnswer }) => void;
    onerror: (event: { readonly message?: string }) => void;
    postMessage(message: unknown): void;
    terminate(): void;
  };
}

function runInWorker(given: CompiledCase): Promise<readonly CompiledRun[]> {
  const { Worker } = globalThis as unknown as Browser;
  const worker = new Worker(new URL("./compiled_worker.js", import.meta.url), { type: "module" });
  return new Promise<readonly CompiledRun[]>((resolve, reject) => {
    worker.onmessage = ({ data: { runs, failure } }) => {
      if (runs === undefined) reject(new Error(failure));
      else resolve(runs);
    };
    worker.onerror = ({ message }) => reject(new Error(`the worker failed: ${message}`));
    worker.postMessage(given);
  }).finally(() => worker.terminate());
}

async function answer(given: CompiledCase): Promise<CompiledAnswer> {
  const module = compileToWasm(bytesOf(given.onnx));
  const expected = bytesOf(given.module);
  const url = URL.createObjectURL(new Blob([module.slice()], { type: "application/wasm" }));
  const model = await load(url);
  return {
    name: given.name,
    page: await runCompiled(given, canvasImage),
    worker: await runInWorker(given),
    own: Array.from(model.run(Float32Array.from(given.input))),
    isSame: module.length === expected.length && module.every((byte, index) => byte === expected[index]),
  };
}

async function answerAll(): Promise<PageAnswer> {
  try {
    const cases = (await (await fetch("/exchange")).json()) as readonly CompiledCase[];
    const answers: CompiledAnswer[] = [];
    for (const given of cases) answers.push(await answer(given));
    return { answers };
  } catch (error) {
    return { failure: error instanceof Error ? `${error.stack}` : String(error) };
  }
}

await fetch("/exchange", { method: "POST", body: JSON.stringify(await answerAll()) });
