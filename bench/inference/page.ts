import * as runtime from "onnxruntime-web/wasm";
import { measureByTurns } from "../../src/measure/by_turns.js";
import { penniContender, runtimeContender } from "./web_contenders.js";

/** What the benchmark asks a page for: networks as base64. */
export interface PageRequest {
  readonly rounds: number;
  readonly dims: readonly number[];
  readonly onnx: Readonly<Record<string, string>>;
  readonly wasm: Readonly<Record<string, string>>;
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

const request = (await (await fetch("/exchange")).json()) as PageRequest;
runtime.env.wasm.numThreads = 1;
const contenders = [];
for (const [engine, module] of Object.entries(request.wasm)) {
  contenders.push(await penniContender(engine, fromBase64(module)));
}
for (const [engine, model] of Object.entries(request.onnx)) {
  contenders.push(await runtimeContender(engine, runtime, fromBase64(model), request.dims));
}
const timings = await measureByTurns(contenders, request.rounds);
await fetch("/exchange", { method: "POST", body: JSON.stringify(timings) });
