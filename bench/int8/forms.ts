import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import * as nodeRuntime from "onnxruntime-node";
import * as webRuntime from "onnxruntime-web";
import { backend as cBackend } from "../../src/compile/c/backend.js";
import { compileToWasm } from "../../src/compile/index.js";
import type { Graph } from "../../src/graph/types.js";
import { type Contender, timed } from "../../src/measure/by_turns.js";
import { encodeModel } from "../../src/onnx/write.js";
import { load } from "../../src/runtime/index.js";
import { addonProgram, writeAddon } from "../../support/addon.js";
import { CContender } from "../inference/c_contender.js";
import { objectFile } from "../inference/c_program.js";
import { INPUT_DIMS } from "../inference/networks.js";
import { penniContender, type Runtime, runtimeContender, sampleImage } from "../inference/web_contenders.js";

/** What computes a network, with what of it must be shipped besides the engine itself. */
export interface Entrant {
  readonly contender: Contender;
  readonly engine: string;
  readonly bytes: number;
  readonly gzipped: number;
  readonly close?: () => void;
}

const sizesOf = (content: Uint8Array): Pick<Entrant, "bytes" | "gzipped"> => {
  return { bytes: content.length, gzipped: gzipSync(content, { level: 9 }).length };
};

/** The network's file in ONNX Runtime, for Node and for the web. */
export async function inRuntimes(name: string, graph: Graph): Promise<readonly Entrant[]> {
  const model = encodeModel(graph, { sparse: true });
  const sizes = sizesOf(model);
  const runtimes = { "onnxruntime-node": nodeRuntime, "onnxruntime-web": webRuntime };
  return Promise.all(
    Object.entries(runtimes).map(async ([engine, runtime]) => ({
      engine,
      contender: await runtimeContender(`${engine} ${name}`, runtime as Runtime, model, INPUT_DIMS),
      ...sizes,
    })),
  );
}

export async function asWasm(name: string, graph: Graph): Promise<Entrant> {
  const module = compileToWasm(graph);
  return { engine: "wasm", contender: await penniContender(`wasm ${name}`, module), ...sizesOf(module) };
}

/** As a program, whose bytes are those of the network's object file without names. */
export function asC(name: string, graph: Graph, compiler: string): Entrant {
  const contender = CContender.build(`c ${name}`, graph, compiler);
  return {
    engine: "c",
    contender,
    ...sizesOf(objectFile(graph, compiler, cBackend)),
    close: () => contender.close(),
  };
}

/** As an addon, which holds its weights as float32 whatever the model has. */
export async function asAddon(name: string, graph: Graph): Promise<Entrant> {
  const directory = mkdtempSync(path.join(tmpdir(), "penni-int8-addon-"));
  try {
    built += 1;
    const file = await writeAddon(directory, `network${built}`, addonProgram(graph));
    const model = await load(file);
    const image = sampleImage(INPUT_DIMS);
    const contender: Contender = { engine: `addon ${name}`, sample: timed(() => model.run(image)) };
    return { engine: "addon", contender, ...sizesOf(readFileSync(file)) };
  } finally {
    // The process keeps what it has mapped.
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Of one name Node loads one addon. */
let built = 0;
