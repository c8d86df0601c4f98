import { realpath } from "node:fs/promises";
import { createRequire } from "node:module";
import { readWhole } from "../data/files.js";
import { messageOf, PenniError } from "../graph/errors.js";
import { CLASS_NAMES_KEY, PREPROCESSING_KEY } from "../graph/image_metadata.js";
import type { ElementType, Graph, ValueInfo } from "../graph/types.js";
import { load, type Model, type OutputData, type Port } from "../runtime/index.js";

/** A compiled network that was read from a file. */
export interface LoadedModule {
  readonly bytes: Uint8Array;
  readonly model: Model<OutputData | Readonly<Record<string, OutputData>>>;
  /** What it says of itself, as a network without nodes: inputs, outputs and metadata. */
  readonly statement: Graph;
  /** Of weights, intermediate values, inputs and outputs. */
  readonly memoryBytes: number;
}

/** Node's, of which its types leave all to those of the browser. */
interface Host {
  readonly WebAssembly: {
    readonly Module: {
      new (bytes: Uint8Array): object;
      customSections(module: object, name: string): readonly ArrayBuffer[];
    };
    readonly Instance: new (
      module: object,
    ) => {
      readonly exports: { readonly memory: { readonly buffer: ArrayBuffer } };
    };
  };
}

/** What Node reads at once, and more than WebAssembly takes. */
const MOST_BYTES = 2 ** 31 - 1;

/** Whether a file's name says that it is a compiled network. */
export function isCompiledFile(file: string): boolean {
  return /\.(?:wasm|node)$/i.test(file);
}

/**
 * A module is loaded only if its digest says that it is whole: a damaged one could run for ever.
 * @throws PenniError "bad-file" if it is no module or addon of Penni's, or a damaged one; "io" or "bad-data" if it cannot
 *   be read
 */
export async function loadCompiledFile(file: string): Promise<LoadedModule> {
  const bytes = await readWhole(file, MOST_BYTES);
  try {
    return await (/\.node$/i.test(file) ? readAddon(file, bytes) : readModule(bytes));
  } catch (error) {
    const reason = messageOf(error);
    const code = error instanceof Error && "syscall" in error ? "io" : "bad-file";
    throw new PenniError(code, `cannot be read: ${reason}`, { file }, { cause: error });
  }
}

/** What a compiled network states of itself, JSON. */
type Statement = Readonly<Record<string, unknown>>;

async function readModule(bytes: Uint8Array): Promise<LoadedModule> {
  const model = await load<OutputData>(bytes, { verify: true });
  const { Module, Instance } = (globalThis as unknown as Host).WebAssembly;
  const module = new Module(bytes);
  const { memory } = new Instance(module).exports;
  const [content] = Module.customSections(module, "penni");
  const said = JSON.parse(new TextDecoder().decode(content)) as Statement;
  return { bytes, model, statement: statementOf(model, said), memoryBytes: memory.buffer.byteLength };
}

async function readAddon(file: string, bytes: Uint8Array): Promise<LoadedModule> {
  const model = await load<OutputData>(file);
  const { penni } = createRequire(import.meta.url)(await realpath(file)) as { readonly penni: string };
  const said = JSON.parse(penni) as Statement & { readonly memoryBytes: number };
  return { bytes, model, statement: statementOf(model, said), memoryBytes: said.memoryBytes };
}

/** Entries of the module's description that are metadata of a network, as JSON. */
const metadataKeys = { preprocessing: PREPROCESSING_KEY, classNames: CLASS_NAMES_KEY } as const;

function statementOf(
  { inputs, outputs }: Pick<LoadedModule["model"], "inputs" | "outputs">,
  said: Statement,
): Graph {
  const value = ({ name, dims, type }: Port): ValueInfo => ({
    name,
    type: { elementType: type as ElementType, shape: dims },
  });
  const metadata = Object.entries(metadataKeys).flatMap(([name, key]): [string, string][] =>
    said[name] === undefined ? [] : [[key, JSON.stringify(said[name])]],
  );
  return {
    name: "compiled",
    opsets: new Map(),
    inputs: inputs.map(value),
    outputs: outputs.map(value),
    nodes: [],
    initializers: new Map(),
    valueInfo: new Map(),
    metadata: new Map(metadata),
  };
}
