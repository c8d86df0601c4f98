/** Stands in for src/execute/node.ts (see vite.config.ts): ONNX Runtime in a browser's worker. */
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import * as ort from "onnxruntime-web/wasm";
import { runGraphOn, type Session, type SessionOptions } from "../../../src/execute/engine.js";
import { webEngine } from "../../../src/execute/web.js";
import type { Graph, Tensor } from "../../../src/graph/types.js";

// One of the page's own files, whatever ONNX Runtime would fetch by itself.
ort.env.wasm.wasmPaths = { wasm: new URL(wasmUrl, import.meta.url).href };
// Threads need headers that not every host sends; compiled networks have one as well.
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";

export const nodeEngine = webEngine(ort);

export function openSession(
  graph: Graph | Uint8Array,
  { threads: _, ...options }: SessionOptions = {},
): Promise<Session> {
  return nodeEngine.openSession(graph, options);
}

export function runGraph(
  graph: Graph | Uint8Array,
  feeds: ReadonlyMap<string, Tensor>,
  options: SessionOptions = {},
): Promise<Map<string, Tensor>> {
  return runGraphOn({ openSession }, graph, feeds, options);
}
