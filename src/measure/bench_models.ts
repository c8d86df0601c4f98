import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { compileProgram } from "../compile/compile.js";
import { summarizeProgram } from "../compile/summary.js";
import { wasmModule } from "../compile/wasm/module.js";
import { wasmTarget } from "../compile/wasm/target.js";
import { openSession } from "../execute/node.js";
import { at } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { encodeModel } from "../onnx/write.js";
import { load, type OutputData } from "../runtime/index.js";
import { type BenchEngine, benchEngines, isCompiled } from "./bench_engines.js";
import { type Contender, measureByTurns, type Timing, timedAsync } from "./by_turns.js";
import { moduleContender, singleImage } from "./compiled_latency.js";
import type { LoadedModule } from "./compiled_module.js";
import { countGraph } from "./count.js";
import { sampleFeeds } from "./latency.js";
import { runtimeMemory } from "./runtime_memory.js";
import { webContender } from "./web_contender.js";

/** What is measured: a network, which every engine runs, or one that is compiled already. */
export type BenchedModel = { readonly name: string } & (
  | { readonly kind: "network"; readonly graph: Graph }
  | { readonly kind: "module"; readonly module: LoadedModule }
);

/** A model in one engine: one image at a time, on one thread. */
export interface EngineFigures extends Timing {
  readonly kind: BenchEngine;
  /** Of the file that the engine takes: the compiled module, or the .onnx file. */
  readonly bytes: number;
  readonly gzippedBytes: number;
  /** Really computed for one image; undefined where the file does not say. */
  readonly multiplyAccumulates?: number;
  /** Needed while it runs: all of a compiled module's memory, or what ONNX Runtime adds to a process. */
  readonly memoryBytes?: number;
}

export interface ModelFigures {
  readonly model: string;
  readonly engines: readonly EngineFigures[];
  /** Engines that could not take part, and why. */
  readonly leftOut: readonly { readonly engine: string; readonly problem: string }[];
}

/** A model made ready in an engine. */
interface Entry {
  readonly model: number;
  readonly kind: BenchEngine;
  readonly contender: Contender;
  readonly figures: Omit<EngineFigures, keyof Timing | "kind">;
  release(): Promise<void>;
}

/**
 * Measures models in every engine that there is, all by turns.
 * @throws PenniError naming what cannot be compiled, or not be run
 */
export async function benchModels(
  models: readonly BenchedModel[],
  rounds: number,
): Promise<readonly ModelFigures[]> {
  const entries: Entry[] = [];
  const leftOut = models.map((): { engine: string; problem: string }[] => []);
  try {
    for (const [index, model] of models.entries()) {
      if (model.kind === "module") entries.push(await moduleEntry(index, model.module));
      else await addEngines(index, singleImage(model.graph), entries, at(leftOut, index));
    }
    const timings = await measureByTurns(
      entries.map(({ contender }) => contender),
      rounds,
    );
    return models.map(({ name }, index) => ({
      model: name,
      engines: entries.flatMap(({ model, kind, figures }, position) => {
        const timing = at(timings, position);
        return model === index ? [{ ...timing, kind, ...figures }] : [];
      }),
      leftOut: at(leftOut, index),
    }));
  } finally {
    for (const entry of entries) await entry.release();
  }
}

const nothingToRelease = async (): Promise<void> => undefined;

async function moduleEntry(model: number, module: LoadedModule): Promise<Entry> {
  const kind = module.model.isa === undefined ? "compiled" : "addon";
  return {
    model,
    kind,
    contender: moduleContender(benchEngines[kind], module.model),
    figures: { ...(await sizes(module.bytes)), memoryBytes: module.memoryBytes },
    release: nothingToRelease,
  };
}

async function addEngines(
  model: number,
  single: Graph,
  entries: Entry[],
  leftOut: { engine: string; problem: string }[],
): Promise<void> {
  entries.push(await compiledEntry(model, single));
  const onnx = encodeModel(single, { sparse: true });
  const figures = { ...(await sizes(onnx)), multiplyAccumulates: countGraph(single).executedMacs };
  const feeds = sampleFeeds(single);
  const measured = async (name: "onnxruntime-web" | "onnxruntime-node"): Promise<Entry["figures"]> => {
    const memoryBytes = await runtimeMemory(name, onnx);
    return { ...figures, ...(memoryBytes === undefined ? {} : { memoryBytes }) };
  };
  const web = await webContender(benchEngines.web, single, feeds);
  if ("problem" in web) leftOut.push(web);
  else {
    const release = (): Promise<void> => web.release();
    entries.push({ model, kind: "web", contender: web, figures: await measured("onnxruntime-web"), release });
  }
  const session = await openSession(single, { threads: 1 });
  entries.push({
    model,
    kind: "node",
    contender: { engine: benchEngines.node, sample: timedAsync(() => session.run(feeds)) },
    figures: await measured("onnxruntime-node"),
    release: () => session.release(),
  });
}

async function compiledEntry(model: number, single: Graph): Promise<Entry> {
  const program = compileProgram(single, wasmTarget);
  const { multiplyAccumulates, weightBytes, preparedBytes, arenaBytes } = summarizeProgram(program);
  const bytes = wasmModule(program);
  return {
    model,
    kind: "compiled",
    contender: moduleContender(benchEngines.compiled, await load<OutputData>(bytes)),
    figures: {
      ...(await sizes(bytes)),
      multiplyAccumulates,
      memoryBytes: weightBytes + preparedBytes + arenaBytes,
    },
    release: nothingToRelease,
  };
}

async function sizes(
  content: Uint8Array,
): Promise<{ readonly bytes: number; readonly gzippedBytes: number }> {
  const { byteLength: gzippedBytes } = await promisify(gzip)(content);
  return { bytes: content.byteLength, gzippedBytes };
}

/** The figures of a model as its own compiled code. @throws PenniError "bad-option" if it was not measured so */
export function compiledFigures({ model, engines }: ModelFigures): EngineFigures {
  const found = engines.find(isCompiled);
  if (found !== undefined) return found;
  throw new PenniError("bad-option", "there are no figures for this model as compiled code", { file: model });
}
