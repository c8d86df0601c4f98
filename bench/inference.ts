/**
 * Inference of one image on one thread: compiled networks (WebAssembly, C, addons) against ONNX Runtime for Node and for the
 * web, dense and compressed, in Node and in Chromium. Medians of alternating repetitions in one run.
 *
 *   node dist/bench/inference.js [--resnet20 FILE] [--resnet56 FILE] [--rounds 15] [--compiler gcc] [--no-browser] [--json]
 *
 * The files are networks that `penni compress` made of ../shared/models. ResNet-18 has random weights, pruned to the
 * compression that the paper reports (bench/sparse_resnet18.ts).
 */
import { Command } from "commander";
import * as nodeRuntime from "onnxruntime-node";
import * as webRuntime from "onnxruntime-web";
import { wholeNumber } from "../src/cli/options.js";
import { type Column, formatTable } from "../src/cli/table.js";
import { compileToWasm } from "../src/compile/index.js";
import { backend } from "../src/compile/wasm/backend.js";
import { type Contender, measureByTurns, type Timing, timed } from "../src/measure/by_turns.js";
import { median } from "../src/measure/median.js";
import { decodeModel } from "../src/onnx/read.js";
import { inBrowser, withoutChromium } from "../support/browser.js";
import { runBenchmark } from "./command.js";
import { loadAddon } from "./inference/addon_contender.js";
import { CContender } from "./inference/c_contender.js";
import {
  costShapes,
  expectedCrossover,
  type KernelCosts,
  measureKernelCosts,
} from "./inference/kernel_costs.js";
import { INPUT_DIMS, type InferenceNetwork, inferenceNetworks } from "./inference/networks.js";
import type { PageRequest } from "./inference/page.js";
import { compiledBytes, gzippedWasmBytes, webRuntimeBytes } from "./inference/sizes.js";
import { penniContender, type Runtime, runtimeContender, sampleImage } from "./inference/web_contenders.js";

interface Options {
  readonly resnet20?: string;
  readonly resnet56?: string;
  readonly rounds: number;
  readonly compiler: string;
  readonly browser: boolean;
  readonly json?: boolean;
}

type Host = "node" | "chromium" | "native";

interface Row extends Timing {
  readonly network: string;
  readonly host: Host;
}

/** The two forms of a network that take part. */
function forms({ dense, compressed }: InferenceNetwork): readonly (readonly [string, Uint8Array])[] {
  return compressed === undefined
    ? [["dense", dense]]
    : [
        ["dense", dense],
        ["compressed", compressed],
      ];
}

async function measureInNode(network: InferenceNetwork, options: Options): Promise<readonly Row[]> {
  const contenders: Contender[] = [];
  const programs: CContender[] = [];
  webRuntime.env.wasm.numThreads = 1;
  for (const [form, model] of forms(network)) {
    contenders.push(
      await runtimeContender(`onnxruntime-node ${form}`, nodeRuntime as Runtime, model, INPUT_DIMS),
    );
    contenders.push(
      await runtimeContender(`onnxruntime-web ${form}`, webRuntime as Runtime, model, INPUT_DIMS),
    );
    contenders.push(await penniContender(`wasm ${form}`, compileToWasm(model)));
    const addon = await loadAddon(model);
    const image = sampleImage(INPUT_DIMS);
    contenders.push({ engine: `addon ${form}`, sample: timed(() => addon.run(image)) });
    programs.push(CContender.build(`c ${form}`, decodeModel(model), options.compiler));
  }
  try {
    const timings = await measureByTurns([...contenders, ...programs], options.rounds);
    return timings.map((timing) => {
      return { network: network.name, host: timing.engine.startsWith("c ") ? "native" : "node", ...timing };
    });
  } finally {
    for (const program of programs) program.close();
  }
}

async function measureInChromium(network: InferenceNetwork, { rounds }: Options): Promise<readonly Row[]> {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  const request: PageRequest = {
    rounds,
    dims: INPUT_DIMS,
    onnx: Object.fromEntries(
      forms(network).map(([form, model]) => [`onnxruntime-web ${form}`, base64(model)]),
    ),
    wasm: Object.fromEntries(
      forms(network).map(([form, model]) => [`wasm ${form}`, base64(compileToWasm(model))]),
    ),
  };
  const timings = (await inBrowser("dist/bench/inference/page.js", request, 600_000)) as readonly Timing[];
  return timings.map((timing) => ({ network: network.name, host: "chromium", ...timing }));
}

/** Multiply-accumulates that are left at the paper's compression: 1 / 12.5. */
const SAVED_FACTOR = 12.5;

/** The figures of the table: all but the last two are "so many times faster". */
function ratios(
  rows: readonly Row[],
  networks: readonly InferenceNetwork[],
): Readonly<Record<string, number>> {
  const time = (network: string, engine: string, host: Host): number | undefined =>
    rows.find((row) => row.network === network && row.engine === engine && row.host === host)?.medianMs;
  const ratio = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? undefined : a / b;
  const of = (engine: string, host: Host): number | undefined => time("resnet18", engine, host);
  const ownSpeedUp = ratio(of("c dense", "native"), of("c compressed", "native"));
  const figures: Record<string, number | undefined> = {
    wasmAgainstWebDense: ratio(of("onnxruntime-web dense", "node"), of("wasm compressed", "node")),
    wasmAgainstWebDenseInChromium: ratio(
      of("onnxruntime-web dense", "chromium"),
      of("wasm compressed", "chromium"),
    ),
    wasmAgainstNodeDense: ratio(of("onnxruntime-node dense", "node"), of("wasm compressed", "node")),
    addonAgainstNodeDense: ratio(of("onnxruntime-node dense", "node"), of("addon compressed", "node")),
    cAgainstNodeDense: ratio(of("onnxruntime-node dense", "node"), of("c compressed", "native")),
    cShareOfSavedMacs: ownSpeedUp === undefined ? undefined : ownSpeedUp / SAVED_FACTOR,
  };
  for (const { name } of networks) {
    for (const host of ["node", "chromium"] as const) {
      const key = `${name}DenseWasmAgainstWeb${host === "node" ? "" : "InChromium"}`;
      figures[key] = ratio(time(name, "onnxruntime-web dense", host), time(name, "wasm dense", host));
    }
  }
  return Object.fromEntries(
    Object.entries(figures).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}

/** Memory and file size of compressed ResNet-18 as shares of what ONNX Runtime for the web and ONNX need. */
async function sizes({ dense, compressed }: InferenceNetwork): Promise<Readonly<Record<string, number>>> {
  if (compressed === undefined) return {};
  return {
    memoryOfWebDense: compiledBytes(decodeModel(compressed)) / (await webRuntimeBytes(dense)),
    gzippedWasmOfDenseOnnx: gzippedWasmBytes(compressed) / dense.length,
  };
}

/**
 * Medians over shapes of layers: how far the time of sparse kernels is from linear in the non-zeros, and where the dense
 * kernel becomes faster, as a multiple of where the cost model expects it.
 */
async function scaling({ compiler }: Options): Promise<Readonly<Record<string, number>>> {
  const costs: KernelCosts[] = [];
  for (const shape of costShapes) costs.push(await measureKernelCosts(shape, { backend, compiler }));
  return {
    sparseOffLinear: median(costs.map((cost) => cost.deviation)),
    crossoverOfExpected: median(costs.map((cost) => cost.crossover)) / expectedCrossover(backend.target),
  };
}

function print(
  rows: readonly Row[],
  networks: readonly InferenceNetwork[],
  figures: Readonly<Record<string, number>>,
): void {
  for (const { name, note } of networks) process.stdout.write(`${name}: ${note}\n`);
  const columns: readonly Column<Row>[] = [
    { title: "network", cell: (row) => row.network, dropOrder: 0 },
    { title: "host", cell: (row) => row.host, dropOrder: 0 },
    { title: "engine", cell: (row) => row.engine, dropOrder: 0 },
    { title: "median ms", cell: (row) => row.medianMs.toFixed(2), align: "right", dropOrder: 0 },
    { title: "min ms", cell: (row) => row.minMs.toFixed(2), align: "right", dropOrder: 0 },
  ];
  process.stdout.write(`${formatTable(columns, rows, 100)}\n`);
  for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name}: ${value.toFixed(3)}\n`);
}

async function main(options: Options): Promise<void> {
  const given = Object.entries({ resnet20: options.resnet20, resnet56: options.resnet56 });
  const files = new Map(given.filter((entry): entry is [string, string] => entry[1] !== undefined));
  const networks = await inferenceNetworks(files);
  const rows: Row[] = [];
  for (const network of networks) {
    rows.push(...(await measureInNode(network, options)));
    if (options.browser && withoutChromium === false)
      rows.push(...(await measureInChromium(network, options)));
  }
  const [resnet18] = networks;
  const figures = {
    ...ratios(rows, networks),
    ...(resnet18 === undefined ? {} : await sizes(resnet18)),
    ...(await scaling(options)),
  };
  if (options.json === true) process.stdout.write(`${JSON.stringify({ rows, ratios: figures })}\n`);
  else print(rows, networks, figures);
}

await runBenchmark(
  new Command("inference")
    .description("compiled networks against ONNX Runtime")
    .option("--resnet20 <file>", "ResNet-20 as compressed by penni compress")
    .option("--resnet56 <file>", "ResNet-56 as compressed by penni compress")
    .option("--rounds <n>", "turns of each engine", wholeNumber(1), 15)
    .option("--compiler <command>", "the C compiler", "gcc")
    .option("--no-browser", "leave out Chromium")
    .option("--json", "print one JSON object")
    .action(main),
);
