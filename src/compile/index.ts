/**
 * The compiler to WebAssembly as a library without any dependency on Node: it runs in browsers and workers too.
 *
 * @module penni/compile
 *
 * @example
 * const onnx = new Uint8Array(await (await fetch("model.onnx")).arrayBuffer());
 * const model = await load(compileToWasm(onnx)); // load from "penni/runtime"
 */

import { fixInputShape } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import type { WeightsType } from "../graph/weights_type.js";
import { decodeModel } from "../onnx/read.js";
import { compileProgram } from "./compile.js";

import { wasmModule } from "./wasm/module.js";
import { wasmTarget } from "./wasm/target.js";

export { type ErrorCode, type ErrorDetails, PenniError } from "../graph/errors.js";
export type { Graph } from "../graph/types.js";

export interface WasmOptions {
  /** Dimensions of inputs that the model leaves open, by name; an open batch becomes 1. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** What weights are kept as until the result is loaded; default: what the model has them as. */
  readonly weightsType?: WeightsType;
}

/**
 * Compiles a model to a WebAssembly module for `load` of penni/runtime.
 * @param model the bytes of an .onnx file with its weights inside, or a graph
 * @returns the bytes of the module, the same for the same model everywhere
 * @throws PenniError "bad-file" or "bad-model" if the file is damaged, "unsupported" naming the first node that cannot
 *   be compiled, "shape" if a dimension is open, "bad-option" if the input shapes do not fit
 */
export function compileToWasm(model: Uint8Array | Graph, options: WasmOptions = {}): Uint8Array {
  const given = model instanceof Uint8Array ? decodeModel(model) : model;
  const graph = fixInputShape(given, new Map(Object.entries(options.inputShapes ?? {})));
  return wasmModule(compileProgram(graph, wasmTarget, options.weightsType));
}
