import { gzipSync } from "node:zlib";
import { compileProgram } from "../../src/compile/compile.js";
import { compileToWasm } from "../../src/compile/index.js";
import { planMemory, planPrepared } from "../../src/compile/memory_plan.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import type { Graph } from "../../src/graph/types.js";
import { runtimeMemory } from "../../src/measure/runtime_memory.js";

/** Weights, what is prepared of them, and arena of a compiled network: the bytes that it needs at run time. */
export function compiledBytes(model: Graph): number {
  const program = compileProgram(model, wasmTarget);
  return program.weights.length + 4 * (planPrepared(program).size + planMemory(program).size);
}

/** Bytes of the compiled module, gzipped. */
export function gzippedWasmBytes(model: Uint8Array | Graph): number {
  return gzipSync(compileToWasm(model), { level: 9 }).length;
}

/** Bytes by which a process grows that loads a model in ONNX Runtime for the web and runs it once. */
export async function webRuntimeBytes(model: Uint8Array): Promise<number> {
  const bytes = await runtimeMemory("onnxruntime-web", model);
  if (bytes === undefined) throw new Error("onnxruntime-web does not run the model");
  return bytes;
}
