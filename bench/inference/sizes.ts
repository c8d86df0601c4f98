import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { compileProgram } from "../../src/compile/compile.js";
import { compileToWasm } from "../../src/compile/index.js";
import { planMemory } from "../../src/compile/memory_plan.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import type { Graph } from "../../src/graph/types.js";

/** Weights and arena of a compiled network: the bytes that it needs at run time. */
export function compiledBytes(model: Graph): number {
  const program = compileProgram(model, wasmTarget);
  return program.weights.length + 4 * planMemory(program).size;
}

/** Bytes of the compiled module, gzipped. */
export function gzippedWasmBytes(model: Uint8Array | Graph): number {
  return gzipSync(compileToWasm(model), { level: 9 }).length;
}

/** Bytes by which a process grows that loads a model in ONNX Runtime for the web and runs it once. */
export function webRuntimeBytes(model: Uint8Array, dims: readonly number[]): number {
  const directory = mkdtempSync(path.join(tmpdir(), "penni-bench-memory-"));
  try {
    const file = path.join(directory, "model.onnx");
    writeFileSync(file, model);
    const side = fileURLToPath(new URL("memory_side.js", import.meta.url));
    const args = ["--expose-gc", side, file, dims.join("x")];
    return Number(execFileSync(process.execPath, args, { encoding: "utf8" }));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
