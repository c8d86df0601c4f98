import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import type { ModulePort } from "./backend.js";
import { type Allowance, INTERPRETER_LANES, interpretProgram } from "./interpreter.js";
import type { Program } from "./program.js";
import { WASM_LANES } from "./wasm/function_body.js";
import { modulePorts, wasmModule } from "./wasm/module.js";

/** Compiles a graph for vectors of so many lanes. */
export type ProgramMaker = (graph: Graph, width: number) => Program;

interface Instance {
  readonly exports: Readonly<Record<string, unknown>>;
}

/** What of the host's WebAssembly is used: Node's types leave it out. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => Instance;
  readonly Memory: new () => { readonly buffer: ArrayBuffer };
};

/** A graph with so few bytes of weights is interpreted: a microsecond each, and no module to be made. */
const INTERPRETED_BYTES = 2 ** 15;

/** Modules by their code: the nodes of a network repeat, and weights are no part of it. */
export class ModuleStore {
  private readonly byCode = new Map<string, object>();

  /** @throws WebAssembly.CompileError and others, where the host does not let modules be made */
  module(bytes: Uint8Array): object {
    const code = latin1.decode(bytes);
    const module = this.byCode.get(code) ?? new WebAssembly.Module(bytes);
    this.byCode.set(code, module);
    return module;
  }
}

const latin1 = new TextDecoder("latin1");

/**
 * Computes the outputs of a graph without inputs, by name: large ones as WebAssembly where the host lets it be made at
 * once (browsers may not, outside workers), else by interpreting.
 * @param allowance of interpreting, used up by it
 * @param modules made before, and kept for the next call
 * @throws PenniError as `compile` does; "unsupported" where the allowance does not last
 */
export function runProgram(
  graph: Graph,
  compile: ProgramMaker,
  allowance: Allowance,
  modules: ModuleStore,
): ReadonlyMap<string, Float32Array> {
  const bytes = [...graph.initializers.values()].reduce((sum, tensor) => sum + tensor.bytes.byteLength, 0);
  const run = bytes > INTERPRETED_BYTES ? instantiate(compile(graph, WASM_LANES), modules) : undefined;
  return run?.() ?? interpretProgram(compile(graph, INTERPRETER_LANES), new Map(), allowance);
}

/** Makes a module of the program; undefined where the host does not let it be made. */
function instantiate(
  program: Program,
  modules: ModuleStore,
): (() => ReadonlyMap<string, Float32Array>) | undefined {
  const bytes = wasmModule(program, { isBare: true });
  const { outputs } = modulePorts(program);
  try {
    const { exports } = new WebAssembly.Instance(modules.module(bytes));
    return () => run(exports, program.weights, outputs);
  } catch {
    return undefined;
  }
}

function run(
  { memory, run: compute }: Instance["exports"],
  weights: Uint8Array,
  outputs: readonly ModulePort[],
): ReadonlyMap<string, Float32Array> {
  if (!(memory instanceof WebAssembly.Memory) || typeof compute !== "function") {
    throw new PenniError("internal", "a module without memory or run");
  }
  new Uint8Array(memory.buffer).set(weights);
  compute();
  return new Map(
    outputs.map(({ name, dims, address }) => {
      const count = dims.reduce((product, dim) => product * dim, 1);
      return [name, new Float32Array(memory.buffer, address, count).slice()];
    }),
  );
}
