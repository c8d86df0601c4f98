/**
 * What people ship (bench/shipped), uncompressed, one image on one thread: compiled networks against what is used
 * otherwise, WebAssembly against onnxruntime-web and C against onnxruntime-node. Medians of alternating repetitions in one run;
 * a ratio above 1: ours is faster.
 *
 *   npm run bench:zoo-inference -- [networks...] [--rounds 15] [--compiler gcc] [--only web|native] [--json] [--save DIR]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Argument, Command, Option } from "commander";
import * as nodeRuntime from "onnxruntime-node";
import * as webRuntime from "onnxruntime-web";
import { wholeNumber } from "../src/cli/options.js";
import { type Column, formatTable } from "../src/cli/table.js";
import { compileToWasm } from "../src/compile/index.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../src/graph/types.js";
import { type Contender, measureByTurns } from "../src/measure/by_turns.js";
import { encodeModel } from "../src/onnx/write.js";
import { load } from "../src/runtime/index.js";
import { runBenchmark } from "./command.js";
import { CContender } from "./inference/c_contender.js";
import { penniContender, type Runtime, runtimeContender, sampleImage } from "./inference/web_contenders.js";
import { type ShippedName, shippedNames, shippedNetworks } from "./shipped/networks.js";

interface Options {
  readonly rounds: number;
  readonly compiler: string;
  readonly only?: "web" | "native";
  readonly json?: boolean;
  readonly save?: string;
}

/** Medians in milliseconds; one pair is absent with `--only`. */
interface Row {
  readonly network: string;
  readonly web?: number;
  readonly wasm?: number;
  readonly native?: number;
  readonly c?: number;
  /** Largest difference of outputs from ONNX Runtime's, by their largest size. */
  readonly difference: number;
}

/** A network with its one input's dimensions and the file that all engines get. */
interface Shipped {
  readonly graph: Graph;
  readonly model: Uint8Array;
  readonly dims: readonly number[];
}

function prepared(name: ShippedName): Shipped {
  const graph = fixBatch(shippedNetworks[name](), 1);
  const dims = graph.inputs[0]?.type?.shape?.map(Number);
  if (dims === undefined) throw new Error(`${name} has no input`);
  return { graph, dims, model: encodeModel(graph) };
}

/** How far our values are from ONNX Runtime's: a fast wrong network is no network. */
async function differenceOf({ model, dims }: Shipped, module: Uint8Array): Promise<number> {
  const image = sampleImage(dims);
  const session = await nodeRuntime.InferenceSession.create(model);
  const [input = ""] = session.inputNames;
  const results = await session.run({ [input]: new nodeRuntime.Tensor("float32", image, dims) });
  const expected = Object.values(results)[0]?.data;
  if (!(expected instanceof Float32Array)) throw new Error("the network has no float32 output");
  const found = (await load(module)).run(image);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    found.reduce((most, value, at) => Math.max(most, Math.abs(value - (expected[at] ?? 0))), 0) / largest
  );
}

async function measure(name: ShippedName, { rounds, compiler, only, save }: Options): Promise<Row> {
  const shipped = prepared(name);
  const { graph, model, dims } = shipped;
  if (save !== undefined) {
    mkdirSync(save, { recursive: true });
    writeFileSync(path.join(save, `${name}.onnx`), model);
  }
  const module = compileToWasm(model);
  const contenders: Contender[] = [];
  if (only !== "native") {
    contenders.push(await runtimeContender("web", webRuntime as Runtime, model, dims));
    contenders.push(await penniContender("wasm", module));
  }
  const program = only === "web" ? undefined : CContender.build("c", graph, compiler);
  if (program !== undefined)
    contenders.push(await runtimeContender("native", nodeRuntime as Runtime, model, dims), program);
  try {
    const timings = await measureByTurns(contenders, rounds);
    const medians = Object.fromEntries(timings.map(({ engine, medianMs }) => [engine, medianMs]));
    return { network: name, ...medians, difference: await differenceOf(shipped, module) };
  } finally {
    program?.close();
  }
}

const ratio = (theirs: number | undefined, ours: number | undefined): number | undefined =>
  theirs === undefined || ours === undefined ? undefined : theirs / ours;

function geometricMean(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return undefined;
  return Math.exp(known.reduce((sum, value) => sum + Math.log(value), 0) / known.length);
}

function print(rows: readonly Row[], means: Means): void {
  const number = (value: number | undefined, digits = 2): string => value?.toFixed(digits) ?? "";
  const column = (title: string, cell: (row: Row) => string): Column<Row> => {
    return { title, cell, align: "right", dropOrder: 0 };
  };
  const columns: readonly Column<Row>[] = [
    { title: "network", cell: (row) => row.network, dropOrder: 0 },
    column("web ms", (row) => number(row.web)),
    column("wasm ms", (row) => number(row.wasm)),
    column("ratio", (row) => number(ratio(row.web, row.wasm))),
    column("node ms", (row) => number(row.native)),
    column("C ms", (row) => number(row.c)),
    column("ratio", (row) => number(ratio(row.native, row.c))),
    column("difference", (row) => row.difference.toExponential(1)),
  ];
  process.stdout.write(`${formatTable(columns, rows, 100)}\n`);
  process.stdout.write(`geometric mean: WebAssembly ${number(means.web)}, C ${number(means.native)}\n`);
}

/** Theirs over ours. */
interface Means {
  readonly web?: number | undefined;
  readonly native?: number | undefined;
}

async function main(names: readonly ShippedName[], options: Options): Promise<void> {
  webRuntime.env.wasm.numThreads = 1;
  const rows: Row[] = [];
  for (const name of names.length === 0 ? shippedNames : names) {
    rows.push(await measure(name, options));
    if (options.json !== true) process.stderr.write(`${name} done\n`);
  }
  const means: Means = {
    web: geometricMean(rows.map(({ web, wasm }) => ratio(web, wasm))),
    native: geometricMean(rows.map(({ native, c }) => ratio(native, c))),
  };
  if (options.json === true) process.stdout.write(`${JSON.stringify({ rows, means })}\n`);
  else print(rows, means);
}

await runBenchmark(
  new Command("zoo-inference")
    .description("networks that people ship, compiled, against ONNX Runtime")
    .addArgument(new Argument("[networks...]", "which (all)").choices(shippedNames))
    .option("--rounds <n>", "turns of each engine", wholeNumber(1), 15)
    .option("--compiler <command>", "the C compiler", "gcc")
    .addOption(new Option("--only <pair>", "one comparison").choices(["web", "native"]))
    .option("--save <dir>", "keep the networks, as .onnx files")
    .option("--json", "print one JSON object")
    .action(main),
);
