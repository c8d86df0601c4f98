/**
 * Compiled networks (WebAssembly and C) against ONNX Runtime on real images: the largest difference of a logit, and on
 * how many images the first class is the same.
 *
 *   node dist/bench/compiled-agreement.js [MODEL...] [--images 1000] [--compiler gcc] [--json]
 *
 * Without models: ResNet-20, ResNet-56 and the zoo of ../shared/models, each as it is and decomposed, pruned to 40 % of
 * its multiply-accumulates, shrunk and exported. Images are CIFAR-10's test images, pixels repeated for larger inputs.
 */
import path from "node:path";
import { Command } from "commander";
import { Tensor } from "onnxruntime-node";
import { wholeNumber } from "../src/cli/options.js";
import { type Column, formatTable } from "../src/cli/table.js";
import { compileToWasm } from "../src/compile/index.js";
import { allIndices, batches, planEvaluation } from "../src/data/batches.js";
import { imagenetPreprocessing, openDataset, readPreprocessing } from "../src/data/index.js";
import { openSession } from "../src/execute/node.js";
import { readModel } from "../src/files/model_files.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../src/graph/types.js";
import { countGraph } from "../src/measure/count.js";
import { decompose } from "../src/method/decompose.js";
import { exportModel } from "../src/method/export.js";
import { pruneToMacs } from "../src/method/prune.js";
import { shrink } from "../src/method/shrink.js";
import { importModel } from "../src/ops/passes/import_model.js";
import { load } from "../src/runtime/index.js";
import { sharedPath } from "../support/shared.js";
import { runBenchmark } from "./command.js";
import { runInC } from "./inference/c_batch.js";

interface Options {
  readonly images: number;
  readonly compiler: string;
  readonly json?: boolean;
}

interface Row {
  readonly network: string;
  readonly engine: "wasm" | "c";
  readonly images: number;
  /** The largest difference of a logit from ONNX Runtime's, and the largest logit. */
  readonly difference: number;
  readonly largest: number;
  readonly sameFirstClass: number;
}

const defaultModels = ["resnet20", "resnet56", "zoo/densenet_tiny", "zoo/mobilenet_v2_w025"]
  .concat(["zoo/shufflenet_v2_x0_5", "zoo/squeezenet1_1"])
  .map((name) => sharedPath(`models/${name}.onnx`));

async function compressed(graph: Graph): Promise<Graph> {
  const original = fixBatch(importModel(graph), 1);
  const originalMacs = countGraph(original).paperMacs;
  const { graph: pruned } = pruneToMacs(decompose(original, { basis: 5 }), { originalMacs, fraction: 0.4 });
  return (await exportModel(shrink(pruned))).graph;
}

/** Inputs [count, C, size, size], preprocessed as the network wants them. */
async function sampleInputs(graph: Graph, count: number, size: number): Promise<Float32Array> {
  const dataset = await openDataset(`cifar10:${sharedPath("data/cifar10")}`);
  const split = await dataset.test();
  const preprocessing = readPreprocessing(graph.metadata) ?? imagenetPreprocessing;
  const plan = planEvaluation(split, allIndices(split).subarray(0, count), { batch: count, preprocessing });
  const [batch] = [...batches(plan)];
  if (batch === undefined) throw new Error("no images");
  return enlarged(batch.images, split.height, size);
}

/** Planes of `from` x `from` with every pixel repeated. */
function enlarged(planes: Float32Array, from: number, to: number): Float32Array {
  const result = new Float32Array((planes.length / (from * from)) * to * to);
  for (let i = 0; i < result.length; i++) {
    const [plane, row, column] = [Math.floor(i / (to * to)), Math.floor(i / to) % to, i % to];
    const at = Math.floor((row * from) / to) * from + Math.floor((column * from) / to);
    result[i] = planes[plane * from * from + at] ?? 0;
  }
  return result;
}

async function compare(network: string, graph: Graph, options: Options): Promise<readonly Row[]> {
  const [input] = graph.inputs;
  const size = input?.type?.shape?.[3];
  if (input === undefined || typeof size !== "number") throw new Error(`${network} has no square input`);
  const images = await sampleInputs(graph, options.images, size);
  const expected = await inRuntime(graph, images, [options.images, 3, size, size]);
  const wasm = (await load(compileToWasm(graph))).run(images);
  const c = runInC(graph, images, options.compiler);
  return [
    { network, engine: "wasm", ...differences(wasm, expected, options.images) },
    { network, engine: "c", ...differences(c, expected, options.images) },
  ];
}

const RUNTIME_BATCH = 50;

async function inRuntime(
  graph: Graph,
  images: Float32Array,
  [count, ...dims]: readonly [number, ...number[]],
): Promise<Float32Array> {
  const [name = ""] = graph.inputs.map((input) => input.name);
  const fixed = graph.inputs[0]?.type?.shape?.[0];
  const batch = typeof fixed === "number" ? fixed : RUNTIME_BATCH;
  const session = await openSession(graph);
  const results: number[] = [];
  const elements = images.length / count;
  for (let first = 0; first < count; first += batch) {
    const part = images.subarray(first * elements, (first + batch) * elements);
    const outputs = await session.run({
      [name]: new Tensor("float32", part, [part.length / elements, ...dims]),
    });
    const [logits] = Object.values(outputs);
    if (logits?.data instanceof Float32Array) results.push(...logits.data);
  }
  await session.release();
  return Float32Array.from(results);
}

function differences(
  found: Float32Array,
  expected: Float32Array,
  images: number,
): Omit<Row, "network" | "engine"> {
  const classes = expected.length / images;
  const first = (logits: Float32Array, image: number): number => {
    const own = logits.subarray(image * classes, (image + 1) * classes);
    return own.indexOf(own.reduce((largest, logit) => Math.max(largest, logit)));
  };
  let difference = 0;
  let largest = 0;
  expected.forEach((logit, index) => {
    const distance = Math.abs(logit - (found[index] ?? Number.NaN));
    if (!(distance <= difference)) difference = distance;
    largest = Math.max(largest, Math.abs(logit));
  });
  const numbers = Array.from({ length: images }, (_, image) => image);
  const same = numbers.filter((image) => first(found, image) === first(expected, image));
  return { images, difference, largest, sameFirstClass: same.length };
}

async function main(models: readonly string[], options: Options): Promise<void> {
  const rows: Row[] = [];
  for (const file of models.length > 0 ? models : defaultModels) {
    const graph = await readModel(file);
    const name = path.basename(file, ".onnx");
    rows.push(...(await compare(name, graph, options)));
    if (models.length === 0)
      rows.push(...(await compare(`${name} compressed`, await compressed(graph), options)));
  }
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ rows })}\n`);
    return;
  }
  const columns: readonly Column<Row>[] = [
    { title: "network", cell: (row) => row.network, dropOrder: 0 },
    { title: "engine", cell: (row) => row.engine, dropOrder: 0 },
    { title: "largest logit", cell: (row) => row.largest.toFixed(3), align: "right", dropOrder: 0 },
    { title: "difference", cell: (row) => row.difference.toExponential(1), align: "right", dropOrder: 0 },
    {
      title: "same class",
      cell: (row) => `${row.sameFirstClass} of ${row.images}`,
      align: "right",
      dropOrder: 0,
    },
  ];
  process.stdout.write(`${formatTable(columns, rows, 120)}\n`);
}

await runBenchmark(
  new Command("compiled-agreement")
    .description("compiled networks against ONNX Runtime on real images")
    .argument("[models...]", "ONNX files")
    .option("--images <n>", "how many images", wholeNumber(1), 1000)
    .option("--compiler <command>", "the C compiler", "gcc")
    .option("--json", "print one JSON object")
    .action(main),
);
