/** Runs in a worker of a browser (see compiled.test.ts): a case in, its runs out. */
import { type CompiledCase, canvasImage, runCompiled } from "./run_compiled.js";

interface WorkerScope {
  addEventListener(type: "message", listener: (event: { readonly data: CompiledCase }) => void): void;
  postMessage(message: unknown): void;
}

const scope = globalThis as unknown as WorkerScope;
scope.addEventListener("message", ({ data }) => {
  runCompiled(data, canvasImage).then(
    (runs) => scope.postMessage({ runs }),
    (error) => scope.postMessage({ failure: `${error}` }),
  );
});
