/**
 * Static INT8 against sparsity: ResNet-20 and ResNet-56 with real weights, one image on one thread, by turns in one run.
 * ONNX Runtime for Node and for the web with the dense network as float32 and as INT8 (bench/int8: every layer, the first
 * and the last too; weights int8 for each output channel, activations uint8, ranges from training images), beside what
 * `penni compress` made of it, compiled to WebAssembly, C and an addon with weights of 32, 16 and 8 bits at rest.
 *
 *   npm run bench:int8 -- [networks...] --resnet20 FILE --resnet56 FILE [--images 10000] [--rounds 9] [--json]
 */
import { readFile } from "node:fs/promises";
import { Argument, Command } from "commander";
import * as webRuntime from "onnxruntime-web";
import { wholeNumber } from "../src/cli/options.js";
import { type Column, formatTable } from "../src/cli/table.js";
import { allIndices, type Dataset, holdOut, openDataset, sampleIndices } from "../src/data/index.js";
import { imagenetPreprocessing, type Preprocessing, readPreprocessing } from "../src/data/preprocessing.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../src/graph/types.js";
import { type WeightsType, weightsTypes } from "../src/graph/weights_type.js";
import { evaluate } from "../src/measure/accuracy.js";
import { measureByTurns, type Timing } from "../src/measure/by_turns.js";
import { countGraph } from "../src/measure/count.js";
import type { MeasuredImages } from "../src/measure/run_on_images.js";
import { decodeModel } from "../src/onnx/read.js";
import { encodeModel } from "../src/onnx/write.js";
import { foldNormalization } from "../src/ops/passes/fold_normalization.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { storeWeights } from "../src/ops/passes/store_weights.js";
import { sharedPath } from "../support/shared.js";
import { runBenchmark } from "./command.js";
import { asInt8, type Int8Network } from "./int8/chosen_ranges.js";
import { asAddon, asC, asWasm, type Entrant, inRuntimes } from "./int8/forms.js";
import { operatorsRun } from "./int8/fused.js";

interface Options {
  readonly resnet20?: string;
  readonly resnet56?: string;
  readonly images: number;
  readonly calibration: number;
  readonly threads: number;
  readonly rounds: number;
  readonly compiler: string;
  readonly json?: boolean;
}

/** A network in one form, as several engines compute it. */
interface Form {
  readonly name: string;
  readonly graph: Graph;
  readonly entrants: readonly Entrant[];
}

interface Row extends Timing {
  readonly network: string;
  readonly form: string;
  readonly correct: number;
  readonly images: number;
  readonly bytes: number;
  readonly gzipped: number;
}

/** How the INT8 network came about. */
interface Quantization extends Pick<Int8Network, "rule" | "errors"> {
  readonly network: string;
  /** What ONNX Runtime runs in place of the file's operators. */
  readonly operators: Readonly<Record<string, number>>;
}

/** Of the training images; rules for ranges are judged on them. */
const HELD_OUT = 0.05;
const HELD_OUT_IMAGES = 1000;
const SEED = 0;

async function quantized(
  graph: Graph,
  dataset: Dataset,
  preprocessing: Preprocessing,
  { calibration, threads }: Options,
): Promise<Int8Network> {
  const split = await dataset.train();
  const { train, validation } = holdOut(split, HELD_OUT, SEED);
  const of = (indices: Uint32Array, count: number): MeasuredImages => {
    return { split, preprocessing, threads, indices: sampleIndices(indices, count, SEED) };
  };
  return asInt8(graph, of(train, calibration), of(validation, HELD_OUT_IMAGES));
}

async function read(file: string): Promise<Graph> {
  return decodeModel(new Uint8Array(await readFile(file)));
}

/** The network that `penni compress` wrote, with weights as they are asked for. */
async function compressedForms(
  original: Graph,
  file: string,
  { compiler }: Options,
): Promise<readonly Form[]> {
  const network = await read(file);
  const macs = (graph: Graph): number => countGraph(fixBatch(graph, 1)).paperMacs;
  const share = `${((100 * macs(network)) / macs(original)).toFixed(0)} % of the MACs`;
  const form = async (type: WeightsType): Promise<Form> => {
    const graph = storeWeights(network, type).graph;
    const name = `${share}, ${type}`;
    const addon = type === "float32" ? [await asAddon(name, graph)] : [];
    return { name, graph, entrants: [await asWasm(name, graph), asC(name, graph, compiler), ...addon] };
  };
  const forms: Form[] = [];
  for (const type of weightsTypes) forms.push(await form(type));
  return forms;
}

async function measure(
  network: string,
  file: string | undefined,
  options: Options,
): Promise<{ readonly rows: readonly Row[]; readonly quantization: Quantization }> {
  const original = await read(sharedPath(`models/${network}.onnx`));
  const folded = foldNormalization(simplify(original));
  const dataset = await openDataset(`cifar10:${sharedPath("data/cifar10")}`);
  const preprocessing = readPreprocessing(original.metadata) ?? imagenetPreprocessing;
  const int8 = await quantized(folded, dataset, preprocessing, options);
  const operators = Object.fromEntries(await operatorsRun(encodeModel(int8.graph)));
  const dense = [await asWasm("dense", folded), asC("dense", folded, options.compiler)];
  const forms: readonly Form[] = [
    { name: "dense", graph: folded, entrants: [...(await inRuntimes("dense", folded)), ...dense] },
    { name: "INT8", graph: int8.graph, entrants: await inRuntimes("INT8", int8.graph) },
    ...(file === undefined ? [] : await compressedForms(original, file, options)),
  ];
  try {
    const timings = await measureByTurns(
      forms.flatMap(({ entrants }) => entrants.map(({ contender }) => contender)),
      options.rounds,
    );
    const rows: Row[] = [];
    const test = await dataset.test();
    const indices = sampleIndices(allIndices(test), options.images, SEED);
    for (const { name, graph, entrants } of forms) {
      const { threads } = options;
      const { correct, total } = await evaluate(graph, test, preprocessing, { indices, threads });
      for (const { engine, contender, bytes, gzipped } of entrants) {
        const timing = timings.find((each) => each.engine === contender.engine);
        if (timing === undefined) throw new Error(`${contender.engine} was not timed`);
        rows.push({ ...timing, network, form: name, engine, correct, images: total, bytes, gzipped });
      }
    }
    return { rows, quantization: { network, rule: int8.rule, errors: int8.errors, operators } };
  } finally {
    for (const { entrants } of forms) for (const { close } of entrants) close?.();
  }
}

function print(rows: readonly Row[], quantizations: readonly Quantization[]): void {
  const percent = (share: number, digits: number): string => `${(100 * share).toFixed(digits)} %`;
  for (const { network, rule, errors, operators } of quantizations) {
    const tried = Object.entries(errors).map(([each, error]) => `${each} ${percent(error, 2)}`);
    const ran = Object.entries(operators).map(([op, count]) => `${count} ${op}`);
    process.stdout.write(`${network}, INT8: ranges by ${rule} (errors of outputs: ${tried.join(", ")}); `);
    process.stdout.write(`onnxruntime-node runs ${ran.join(", ")}\n`);
  }
  const number = (title: string, cell: (row: Row) => string): Column<Row> => {
    return { title, cell, align: "right", dropOrder: 0 };
  };
  const columns: readonly Column<Row>[] = [
    { title: "network", cell: (row) => row.network, dropOrder: 0 },
    { title: "form", cell: (row) => row.form, dropOrder: 0 },
    { title: "engine", cell: (row) => row.engine, dropOrder: 0 },
    number("top-1", (row) => percent(row.correct / row.images, 2)),
    number("ms", (row) => row.medianMs.toFixed(3)),
    number("95 %", (row) => `${row.lowMs.toFixed(3)} to ${row.highMs.toFixed(3)}`),
    number("bytes", (row) => `${row.bytes}`),
    number("gzipped", (row) => `${row.gzipped}`),
  ];
  process.stdout.write(`${formatTable(columns, rows, 140)}\n`);
}

const networkNames = ["resnet20", "resnet56"] as const;
type NetworkName = (typeof networkNames)[number];

async function main(names: readonly NetworkName[], options: Options): Promise<void> {
  webRuntime.env.wasm.numThreads = 1;
  const rows: Row[] = [];
  const quantizations: Quantization[] = [];
  for (const network of names.length === 0 ? networkNames : names) {
    const measured = await measure(network, options[network], options);
    rows.push(...measured.rows);
    quantizations.push(measured.quantization);
    if (options.json !== true) process.stderr.write(`${network} done\n`);
  }
  if (options.json === true) process.stdout.write(`${JSON.stringify({ rows, quantizations })}\n`);
  else print(rows, quantizations);
}

await runBenchmark(
  new Command("int8")
    .description("static INT8 in ONNX Runtime against compressed networks, compiled")
    .addArgument(new Argument("[networks...]", "which (all)").choices(networkNames))
    .option("--resnet20 <file>", "ResNet-20 as compressed by penni compress")
    .option("--resnet56 <file>", "ResNet-56 as compressed by penni compress")
    .option("--images <n>", "test images that top-1 is measured on", wholeNumber(1), 10_000)
    .option("--calibration <n>", "training images that ranges are made of", wholeNumber(1), 512)
    .option("--threads <n>", "threads for accuracy (times are those of one)", wholeNumber(1), 2)
    .option("--rounds <n>", "turns of each engine", wholeNumber(1), 9)
    .option("--compiler <command>", "the C compiler", "gcc")
    .option("--json", "print one JSON object")
    .action(main),
);
