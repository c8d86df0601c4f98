/**
 * Prints the bytes by which a process grows when ONNX Runtime for the web loads a model and runs it once; run with
 * --expose-gc in a process of its own.
 */
import { readFileSync } from "node:fs";
import * as runtime from "onnxruntime-web";
import { sampleImage } from "./web_contenders.js";

const [file = "", dimensions = ""] = process.argv.slice(2);
const dims = dimensions.split("x").map(Number);
runtime.env.wasm.numThreads = 1;

function residentBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

const model = new Uint8Array(readFileSync(file));
const before = residentBytes();
const session = await runtime.InferenceSession.create(model, { graphOptimizationLevel: "all" });
const [input = ""] = session.inputNames;
await session.run({ [input]: new runtime.Tensor("float32", sampleImage(dims), dims) });
process.stdout.write(`${residentBytes() - before}\n`);
