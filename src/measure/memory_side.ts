/**
 * Prints the bytes by which a process grows when ONNX Runtime loads a model and runs it once; run with --expose-gc in a
 * process of its own: node --expose-gc memory_side.js PACKAGE MODEL.
 */
import { readFileSync } from "node:fs";
import { at } from "../graph/at.js";
import { decodeModel } from "../onnx/read.js";
import { sampleFeeds } from "./latency.js";
import { importRuntime } from "./web_contender.js";

function residentBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

const [name, file] = [at(process.argv, 2), at(process.argv, 3)];
const runtime = await importRuntime(name);
if (runtime === undefined) throw new Error(`${name} is not installed`);
runtime.env.wasm.numThreads = 1;
const bytes = new Uint8Array(readFileSync(file));
const samples = Object.entries(sampleFeeds(decodeModel(bytes)));
const feeds = Object.fromEntries(
  samples.map(([input, { data, dims }]) => [
    input,
    new runtime.Tensor("float32", data as Float32Array, dims),
  ]),
);
const before = residentBytes();
const session = await runtime.InferenceSession.create(bytes, {
  graphOptimizationLevel: "all",
  intraOpNumThreads: 1,
});
await session.run(feeds);
process.stdout.write(`${residentBytes() - before}\n`);
