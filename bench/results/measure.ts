import { execFileSync } from "node:child_process";
import { stat } from "node:fs/promises";
import { cpus } from "node:os";
import * as nodeRuntime from "onnxruntime-node";
import * as webRuntime from "onnxruntime-web";
import { compileToWasm } from "../../src/compile/index.js";
import { openDataset } from "../../src/data/open.js";
import { pictureFormat } from "../../src/data/picture_format.js";
import { readModel } from "../../src/files/model_files.js";
import type { Graph } from "../../src/graph/types.js";
import { evaluate } from "../../src/measure/accuracy.js";
import { measureByTurns } from "../../src/measure/by_turns.js";
import { newNetwork } from "../../src/networks/index.js";
import { encodeModel } from "../../src/onnx/write.js";
import { fileCounts } from "../../src/run/outcome.js";
import { CContender } from "../inference/c_contender.js";
import { compiledBytes, gzippedWasmBytes, webRuntimeBytes } from "../inference/sizes.js";
import { penniContender, type Runtime, runtimeContender } from "../inference/web_contenders.js";
import type { Measured, ResultRecord } from "./record.js";
import type { Row } from "./rows.js";

/** Rounds in which the engines take turns. */
const ROUNDS = 15;

/** Accuracy on the test images, and costs, of a model's file. */
export async function judge({ data, classes }: Row, file: string): Promise<ResultRecord["baseline"]> {
  const model = await readModel(file);
  const { preprocessing } = pictureFormat(model);
  const dataset = await openDataset(data, { preprocessing });
  if (dataset.classNames?.length !== classes) throw new Error(`${data} has other classes than the network`);
  const { correct, total } = await evaluate(model, await dataset.test(), preprocessing, {});
  const { size: bytes } = await stat(file);
  return { test: { correct, total }, costs: { ...fileCounts(model), bytes } };
}

/** Everything that is said of a compressed model, from its file alone. Its dense form has random weights. */
export async function measureModel(row: Row, file: string): Promise<Measured> {
  const judged = await judge(row, file);
  const { network, classes, image } = row;
  const dense = newNetwork(network, { classes, image, seed: 0, metadata: new Map() });
  const model = await readModel(file);
  const dims = [1, ...image];
  return {
    ...judged,
    latency: await latencies(dense, model, dims),
    memory: { compiledBytes: compiledBytes(model), webDenseBytes: await webRuntimeBytes(encodeModel(dense)) },
    gzippedWasm: gzippedWasmBytes(encodeModel(model)),
    machine: cpus()[0]?.model ?? "unknown",
  };
}

async function latencies(dense: Graph, model: Graph, dims: readonly number[]): Promise<Measured["latency"]> {
  const encoded = encodeModel(dense);
  const compressed = encodeModel(model, { sparse: true });
  webRuntime.env.wasm.numThreads = 1;
  const programs = hasCompiler()
    ? [CContender.build("cCompressed", model, "gcc"), CContender.build("cDense", dense, "gcc")]
    : [];
  try {
    const timings = await measureByTurns(
      [
        await runtimeContender("nodeDense", nodeRuntime as Runtime, encoded, dims),
        await runtimeContender("nodeCompressed", nodeRuntime as Runtime, compressed, dims),
        await runtimeContender("webDense", webRuntime as Runtime, encoded, dims),
        await penniContender("wasmCompressed", compileToWasm(compressed)),
        await penniContender("wasmDense", compileToWasm(dense)),
        ...programs,
      ],
      ROUNDS,
    );
    const medianOf = (engine: keyof Measured["latency"]): number =>
      timings.find((timing) => timing.engine === engine)?.medianMs ?? Number.NaN;
    return {
      nodeDense: medianOf("nodeDense"),
      nodeCompressed: medianOf("nodeCompressed"),
      webDense: medianOf("webDense"),
      wasmCompressed: medianOf("wasmCompressed"),
      wasmDense: medianOf("wasmDense"),
      ...(programs.length === 0 ? {} : { cCompressed: medianOf("cCompressed"), cDense: medianOf("cDense") }),
    };
  } finally {
    for (const program of programs) program.close();
  }
}

function hasCompiler(): boolean {
  try {
    execFileSync("gcc", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
