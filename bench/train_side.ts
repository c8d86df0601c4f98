/**
 * Our side of `npm run bench:train`, as `pytorch/train_step.py` is the other one:
 * `node train_side.js NETWORK BATCH THREADS WARMUP DEVICE [BASIS PHASE]`, where NETWORK is a name or an ONNX file. Reads a number of steps from each line of stdin,
 * runs them and answers with one line of JSON, `{"milliseconds": [...]}`; the first line says that the warm-up
 * is done.
 */
import { createInterface } from "node:readline";
import type { Device } from "../src/execute/device.js";
import { readModel } from "../src/files/model_files.js";
import type { Graph } from "../src/graph/types.js";
import { decompose } from "../src/method/decompose.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { benchmarkNetworks, isBenchmarkNetwork } from "../support/benchmark_networks.js";
import { type BenchTraining, type DecomposedPhase, openTraining } from "../support/benchmark_training.js";

const [name = "", batch, threads, warmup, device, basis, phase] = process.argv.slice(2);
const training = await openTraining(await network(), {
  batch: Number(batch),
  threads: Number(threads),
  device: device as Device,
  ...(phase === undefined ? {} : { phase: phase as DecomposedPhase }),
});
await answer(training, Number(warmup));
for await (const line of createInterface({ input: process.stdin })) await answer(training, Number(line));

/** Not kept here: a training process holds the state of its network only. */
async function network(): Promise<Graph> {
  const plain = isBenchmarkNetwork(name) ? benchmarkNetworks[name].build() : simplify(await readModel(name));
  return basis === undefined ? plain : decompose(plain, { basis: Number(basis) });
}

async function answer(run: BenchTraining, steps: number): Promise<void> {
  const milliseconds: number[] = [];
  for (let index = 0; index < steps; index++) {
    const started = performance.now();
    await run.step();
    milliseconds.push(performance.now() - started);
  }
  process.stdout.write(`${JSON.stringify({ milliseconds })}\n`);
}
