/**
 * The addon of `penni compile --target node` beside ONNX Runtime for Node and WebAssembly, by turns in one run: one image
 * on one thread, and requests in flight over 2 threads.
 *
 *   npm run bench:node -- [--resnet20 FILE] [--resnet56 FILE] [--rounds 15] [--flight 8] [--threads 2] [--json]
 *
 * The files are networks that `penni compress` made of ../shared/models. ResNet-18 has random weights, pruned to the
 * compression that the paper reports (bench/sparse_resnet18.ts). ONNX Runtime computes requests in flight twice: each on
 * one thread, as many at once as there are threads, and one after the other on all threads; the faster counts.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import * as nodeRuntime from "onnxruntime-node";
import { wholeNumber } from "../src/cli/options.js";
import { type Column, formatTable } from "../src/cli/table.js";
import { compileToWasm } from "../src/compile/index.js";
import { type Contender, measureByTurns, type Timing, timed } from "../src/measure/by_turns.js";
import { runBenchmark } from "./command.js";
import { loadAddon } from "./inference/addon_contender.js";
import { INPUT_DIMS, type InferenceNetwork, inferenceNetworks } from "./inference/networks.js";
import { penniContender, type Runtime, runtimeContender, sampleImage } from "./inference/web_contenders.js";

interface Options {
  readonly resnet20?: string;
  readonly resnet56?: string;
  readonly rounds: number;
  readonly flight: number;
  readonly threads: number;
  readonly json?: boolean;
}

interface Row extends Timing {
  readonly network: string;
  readonly measure: "one image" | "in flight";
}

/** Requests of which so many are under way at any time: milliseconds of each, as if it were alone. */
function inFlight(engine: string, flight: number, request: () => Promise<unknown>): Contender {
  return {
    engine,
    sample: async (count) => {
      const started = performance.now();
      const caller = async (): Promise<void> => {
        for (let done = 0; done < count; done++) await request();
      };
      await Promise.all(Array.from({ length: flight }, caller));
      const each = (performance.now() - started) / (count * flight);
      return Array.from({ length: count }, () => each);
    },
  };
}

async function runtimeInFlight(
  engine: string,
  model: Uint8Array,
  flight: number,
  intraOpNumThreads: number,
): Promise<Contender> {
  const session = await nodeRuntime.InferenceSession.create(model, {
    intraOpNumThreads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });
  const [input = ""] = session.inputNames;
  const feeds = { [input]: new nodeRuntime.Tensor("float32", sampleImage(INPUT_DIMS), INPUT_DIMS) };
  return inFlight(engine, flight, () => session.run(feeds));
}

function forms({ dense, compressed }: InferenceNetwork): readonly (readonly [string, Uint8Array])[] {
  return [["dense", dense], ...(compressed === undefined ? [] : [["compressed", compressed] as const])];
}

async function measure(network: InferenceNetwork, options: Options): Promise<readonly Row[]> {
  const { rounds, flight, threads } = options;
  const single: Contender[] = [];
  const several: Contender[] = [];
  const image = sampleImage(INPUT_DIMS);
  for (const [form, model] of forms(network)) {
    const addon = await loadAddon(model);
    single.push({ engine: `addon ${form}`, sample: timed(() => addon.run(image)) });
    single.push(
      await runtimeContender(`onnxruntime-node ${form}`, nodeRuntime as Runtime, model, INPUT_DIMS),
    );
    single.push(await penniContender(`wasm ${form}`, compileToWasm(model)));
    several.push(inFlight(`addon ${form}`, flight, () => addon.runAsync(image)));
    several.push(await runtimeInFlight(`onnxruntime-node ${form}`, model, flight, 1));
    several.push(await runtimeInFlight(`onnxruntime-node ${form}, all threads`, model, flight, threads));
  }
  const rows = async (contenders: readonly Contender[], what: Row["measure"]): Promise<readonly Row[]> =>
    (await measureByTurns(contenders, rounds)).map((timing) => ({
      network: network.name,
      measure: what,
      ...timing,
    }));
  return [...(await rows(single, "one image")), ...(await rows(several, "in flight"))];
}

/** How many times faster the addon is, of each network and form, than ONNX Runtime with the dense network. */
function ratios(rows: readonly Row[]): Readonly<Record<string, number>> {
  const figures: Record<string, number> = {};
  for (const { network, measure: what, engine, medianMs } of rows) {
    if (!engine.startsWith("addon ")) continue;
    const others = rows.filter(
      (row) =>
        row.network === network && row.measure === what && row.engine.startsWith("onnxruntime-node dense"),
    );
    figures[`${network} ${engine}, ${what}`] = Math.min(...others.map((row) => row.medianMs)) / medianMs;
  }
  return figures;
}

async function main(options: Options): Promise<void> {
  // The size of libuv's pool is read once, when it is first used.
  if (process.env.UV_THREADPOOL_SIZE !== `${options.threads}`) {
    const script = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
    const env = { ...process.env, UV_THREADPOOL_SIZE: `${options.threads}` };
    process.exitCode = spawnSync(process.execPath, script, { stdio: "inherit", env }).status ?? 1;
    return;
  }
  const given = Object.entries({ resnet20: options.resnet20, resnet56: options.resnet56 });
  const files = new Map(given.filter((entry): entry is [string, string] => entry[1] !== undefined));
  const networks = await inferenceNetworks(files);
  const rows: Row[] = [];
  for (const network of networks) rows.push(...(await measure(network, options)));
  const figures = ratios(rows);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ rows, ratios: figures })}\n`);
    return;
  }
  for (const { name, note } of networks) process.stdout.write(`${name}: ${note}\n`);
  const columns: readonly Column<Row>[] = [
    { title: "network", cell: (row) => row.network, dropOrder: 0 },
    { title: "measure", cell: (row) => row.measure, dropOrder: 0 },
    { title: "engine", cell: (row) => row.engine, dropOrder: 0 },
    { title: "ms an image", cell: (row) => row.medianMs.toFixed(3), align: "right", dropOrder: 0 },
    { title: "min ms", cell: (row) => row.minMs.toFixed(3), align: "right", dropOrder: 0 },
  ];
  process.stdout.write(`${formatTable(columns, rows, 100)}\n`);
  for (const [name, value] of Object.entries(figures))
    process.stdout.write(`${name}: ${value.toFixed(2)} x\n`);
}

await runBenchmark(
  new Command("node-target")
    .description("addons for Node against ONNX Runtime")
    .option("--resnet20 <file>", "ResNet-20 as compressed by penni compress")
    .option("--resnet56 <file>", "ResNet-56 as compressed by penni compress")
    .option("--rounds <n>", "turns of each engine", wholeNumber(1), 15)
    .option("--flight <n>", "requests under way", wholeNumber(1), 8)
    .option("--threads <n>", "threads for them", wholeNumber(1), 2)
    .option("--json", "print one JSON object")
    .action(main),
);
