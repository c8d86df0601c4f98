/**
 * What people ship (bench/shipped), one image on one thread, in medians of alternating repetitions in one run; a ratio above 1:
 * ours is faster. Uncompressed, against what is used otherwise: WebAssembly against onnxruntime-web, in Node (web) and in
 * Chromium (chromium), and C against onnxruntime-node (native). Compressed, against our own uncompressed: half of the
 * multiply-accumulates, or 85 % of the weights of 1x1 convolutions, zero (bench/shipped/sparser.ts).
 *
 *   npm run bench:zoo-inference -- [networks...] [--rounds 15] [--compiler gcc] [--only web,native] [--json] [--save DIR]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Argument, Command, InvalidArgumentError } from "commander";
import * as nodeRuntime from "onnxruntime-node";
import * as webRuntime from "onnxruntime-web";
import { wholeNumber } from "../src/cli/options.js";
import { type Column, formatTable } from "../src/cli/table.js";
import { compileToWasm } from "../src/compile/index.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../src/graph/types.js";
import { type Contender, measureByTurns, type Timing } from "../src/measure/by_turns.js";
import { encodeModel } from "../src/onnx/write.js";
import { load } from "../src/runtime/index.js";
import { inBrowser, withoutChromium } from "../support/browser.js";
import { runBenchmark } from "./command.js";
import { CContender } from "./inference/c_contender.js";
import type { PageRequest } from "./inference/page.js";
import { penniContender, type Runtime, runtimeContender, sampleImage } from "./inference/web_contenders.js";
import { type ShippedName, shippedNames, shippedNetworks } from "./shipped/networks.js";
import { type SparserForm, sparserForms } from "./shipped/sparser.js";

interface Options {
  readonly rounds: number;
  readonly compiler: string;
  readonly only: readonly ComparisonName[];
  readonly json?: boolean;
  readonly save?: string;
}

/** Medians of two engines, in milliseconds. */
interface Pair {
  readonly theirs: number;
  readonly ours: number;
}

interface Row {
  readonly network: string;
  readonly pairs: Readonly<Partial<Record<ComparisonName, Pair>>>;
  /** Largest difference of the dense network's outputs from ONNX Runtime's, by their largest size. */
  readonly difference: number;
}

/** A network with its one input's dimensions and the file that all engines get. */
interface Shipped {
  readonly graph: Graph;
  readonly model: Uint8Array;
  /** The model compiled to WebAssembly. */
  readonly module: Uint8Array;
  readonly dims: readonly number[];
}

function prepared(name: ShippedName): Shipped {
  const graph = fixBatch(shippedNetworks[name](), 1);
  const dims = graph.inputs[0]?.type?.shape?.map(Number);
  if (dims === undefined) throw new Error(`${name} has no input`);
  const model = encodeModel(graph);
  return { graph, dims, model, module: compileToWasm(model) };
}

/** How far our values are from ONNX Runtime's: a fast wrong network is no network. */
async function differenceOf({ model, module, dims }: Shipped): Promise<number> {
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

/** One network against another one, or on another engine: what is measured, by turns. */
type Comparison = (shipped: Shipped, options: Options) => Promise<Pair>;

/** Of contenders that are called so. */
function pairOf(timings: readonly Timing[]): Pair {
  const medianOf = (engine: keyof Pair): number => {
    const timing = timings.find((each) => each.engine === engine);
    if (timing === undefined) throw new Error(`${engine} was not timed`);
    return timing.medianMs;
  };
  return { theirs: medianOf("theirs"), ours: medianOf("ours") };
}

async function timed(contenders: readonly Contender[], rounds: number): Promise<Pair> {
  return pairOf(await measureByTurns(contenders, rounds));
}

const againstWeb: Comparison = async ({ model, module, dims }, { rounds }) =>
  timed(
    [
      await runtimeContender("theirs", webRuntime as Runtime, model, dims),
      await penniContender("ours", module),
    ],
    rounds,
  );

const inChromium: Comparison = async ({ model, module, dims }, { rounds }) => {
  if (withoutChromium !== false) throw new Error(withoutChromium);
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  const request: PageRequest = {
    rounds,
    dims,
    onnx: { theirs: base64(model) },
    wasm: { ours: base64(module) },
  };
  const timings = (await inBrowser("dist/bench/inference/page.js", request, PAGE_MS)) as readonly Timing[];
  return pairOf(timings);
};

const PAGE_MS = 600_000;

const againstNode: Comparison = async ({ graph, model, dims }, { rounds, compiler }) => {
  const ours = CContender.build("ours", graph, compiler);
  try {
    const theirs = await runtimeContender("theirs", nodeRuntime as Runtime, model, dims);
    return await timed([theirs, ours], rounds);
  } finally {
    ours.close();
  }
};

const sparserWasm =
  (form: SparserForm): Comparison =>
  async ({ graph, module }, { rounds }) =>
    timed(
      [
        await penniContender("theirs", module),
        await penniContender("ours", compileToWasm(encodeModel(await sparserForms[form](graph)))),
      ],
      rounds,
    );

const sparserC =
  (form: SparserForm): Comparison =>
  async ({ graph }, { rounds, compiler }) => {
    const programs = [
      CContender.build("theirs", graph, compiler),
      CContender.build("ours", await sparserForms[form](graph), compiler),
    ];
    try {
      return await timed(programs, rounds);
    } finally {
      for (const program of programs) program.close();
    }
  };

const comparisons = {
  web: againstWeb,
  chromium: inChromium,
  native: againstNode,
  "half-wasm": sparserWasm("half"),
  "half-c": sparserC("half"),
  "pointwise-wasm": sparserWasm("pointwise"),
  "pointwise-c": sparserC("pointwise"),
} as const satisfies Readonly<Record<string, Comparison>>;

type ComparisonName = keyof typeof comparisons;

const comparisonNames = Object.keys(comparisons) as readonly ComparisonName[];

function comparisonList(text: string): readonly ComparisonName[] {
  const known: ReadonlySet<string> = new Set(comparisonNames);
  const names = text.split(",");
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`"${unknown}" is none of ${comparisonNames.join(", ")}`);
  return comparisonNames.filter((name) => names.includes(name));
}

async function measure(name: ShippedName, options: Options): Promise<Row> {
  const shipped = prepared(name);
  const { save } = options;
  if (save !== undefined) {
    mkdirSync(save, { recursive: true });
    writeFileSync(path.join(save, `${name}.onnx`), shipped.model);
  }
  const pairs: Partial<Record<ComparisonName, Pair>> = {};
  for (const comparison of options.only) pairs[comparison] = await comparisons[comparison](shipped, options);
  return { network: name, pairs, difference: await differenceOf(shipped) };
}

const ratio = ({ theirs, ours }: Pair): number => theirs / ours;

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Theirs over ours, of all networks. */
function meansOf(rows: readonly Row[], only: readonly ComparisonName[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    only.map((name) => [name, geometricMean(rows.flatMap(({ pairs }) => pairs[name] ?? []).map(ratio))]),
  );
}

function print(rows: readonly Row[], { only }: Options): void {
  const column = (title: string, cell: (row: Row) => string): Column<Row> => {
    return { title, cell, align: "right", dropOrder: 0 };
  };
  const number = (value: number | undefined): string => value?.toFixed(2) ?? "";
  for (const name of only) {
    const columns: readonly Column<Row>[] = [
      { title: name, cell: (row) => row.network, dropOrder: 0 },
      column("theirs ms", (row) => number(row.pairs[name]?.theirs)),
      column("ours ms", (row) => number(row.pairs[name]?.ours)),
      column("ratio", (row) => number(row.pairs[name] === undefined ? undefined : ratio(row.pairs[name]))),
      column("difference", (row) => row.difference.toExponential(1)),
    ];
    process.stdout.write(`${formatTable(columns, rows, 100)}\n\n`);
  }
  for (const [name, mean] of Object.entries(meansOf(rows, only)))
    process.stdout.write(`geometric mean, ${name}: ${mean.toFixed(2)}\n`);
}

async function main(names: readonly ShippedName[], options: Options): Promise<void> {
  webRuntime.env.wasm.numThreads = 1;
  const rows: Row[] = [];
  for (const name of names.length === 0 ? shippedNames : names) {
    rows.push(await measure(name, options));
    if (options.json !== true) process.stderr.write(`${name} done\n`);
  }
  if (options.json === true)
    process.stdout.write(`${JSON.stringify({ rows, means: meansOf(rows, options.only) })}\n`);
  else print(rows, options);
}

await runBenchmark(
  new Command("zoo-inference")
    .description("networks that people ship, compiled, against ONNX Runtime")
    .addArgument(new Argument("[networks...]", "which (all)").choices(shippedNames))
    .option("--rounds <n>", "turns of each engine", wholeNumber(1), 15)
    .option("--compiler <command>", "the C compiler", "gcc")
    .option("--only <names>", `these, with commas: ${comparisonNames.join(", ")}`, comparisonList, [
      "web",
      "native",
    ])
    .option("--save <dir>", "keep the networks, as .onnx files")
    .option("--json", "print one JSON object")
    .action(main),
);
