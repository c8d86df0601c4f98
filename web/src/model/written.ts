import type { EmittedFile } from "../../../src/compile/backend.js";
import { cName } from "../../../src/compile/c/names.js";
import { compileProgram } from "../../../src/compile/compile.js";
import type { Program } from "../../../src/compile/program.js";
import { type ProgramSummary, summarizeProgram } from "../../../src/compile/summary.js";
import { backend } from "../../../src/compile/wasm/backend.js";
import { present } from "../../../src/graph/at.js";
import { PREPROCESSING_KEY } from "../../../src/graph/image_metadata.js";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../../src/graph/types.js";
import { exportModel } from "../../../src/method/export.js";
import { encodeModel } from "../../../src/onnx/write.js";
import { float32Interface } from "../../../src/ops/passes/float16.js";
import type { Network } from "./network.js";

/** A changed network as it is handed on. */
export interface Written {
  /** As `penni compress` writes it. */
  readonly graph: Graph;
  /** The bytes of its `.onnx` file, zeros left out. */
  readonly sparse: Uint8Array;
}

/** What `penni compress` would write of a changed network. */
export async function writeVariant(
  { given, pictures, isDequantized }: Network,
  variant: Graph,
): Promise<Written> {
  const { graph } = await exportModel(variant, {
    ...(pictures === undefined ? {} : { preprocessing: pictures.format.preprocessing }),
    // What came as integers leaves as float32: there is nothing to go back to.
    ...(isDequantized ? {} : { original: given }),
  });
  return { graph, sparse: encodeModel(graph, { sparse: true }) };
}

/** The network for one image with float32 inputs and outputs, every value written out: what runtimes in pages load. */
export function forRuntime(graph: Graph): Uint8Array {
  return encodeModel(singleImage(graph));
}

const singleImage = (graph: Graph): Graph => fixBatch(float32Interface(graph), 1);

/** A compiled network. */
export interface CompiledNetwork {
  readonly module: Uint8Array;
  readonly summary: ProgramSummary;
}

/**
 * Compiles a network as `penni compile --target wasm` does.
 * @throws PenniError as `compileProgram`
 */
export function compileNetwork(name: string, network: Network, graph: Graph): CompiledNetwork {
  const program = programOf(network, graph);
  const content = contentOf(backend.emit(program, { name: cName(name) }), ".wasm");
  return {
    module: typeof content === "string" ? new TextEncoder().encode(content) : content,
    summary: summarizeProgram(program),
  };
}

/**
 * A page that shows the compiled network at work and needs no server, as `penni compile --target wasm --example` makes it: with
 * the module as text, larger by a third.
 * @param exampleParts texts of what the back end's `exampleParts` names
 * @throws PenniError as `compileProgram`; "bad-option" if the module is too large for a page
 */
export function pageOf(
  name: string,
  network: Network,
  graph: Graph,
  exampleParts: readonly string[],
): string | Uint8Array {
  const files = backend.emit(programOf(network, graph), { name: cName(name), example: exampleParts });
  return contentOf(files, "index.html");
}

function programOf({ pictures }: Network, graph: Graph): Program {
  const single = fixBatch(graph, 1);
  const metadata = new Map(single.metadata);
  if (pictures !== undefined) metadata.set(PREPROCESSING_KEY, JSON.stringify(pictures.format.preprocessing));
  return compileProgram({ ...single, metadata }, backend.target);
}

function contentOf(files: readonly EmittedFile[], ending: string): string | Uint8Array {
  return present(
    files.find((file) => file.name.endsWith(ending)),
    ending,
  ).content;
}
