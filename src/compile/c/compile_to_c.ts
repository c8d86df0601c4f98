import { fixInputShape } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { decodeModel } from "../../onnx/read.js";
import type { EmittedFile } from "../backend.js";
import { compileProgram } from "../compile.js";
import type { WasmOptions } from "../index.js";
import { type CFileOptions, cFiles } from "./files.js";
import { cTarget, preparingCTarget } from "./target.js";

/** `name` is a C identifier: the files' name and the prefix of everything in the header. */
export interface COptions
  extends WasmOptions,
    Pick<CFileOptions, "name">,
    Partial<Omit<CFileOptions, "name">> {
  /** Whether runs read weights that `NAME_prepare` has made ready in memory of the caller's, which is faster. */
  readonly prepare?: boolean;
}

/**
 * Compiles a model to C99: NAME.h, NAME.c and what the options ask for.
 * @param model the bytes of an .onnx file with its weights inside, or a graph
 * @param options by default the weights are in NAME.c, nothing is prepared, and there is no example
 * @returns the files, to be written beside each other
 * @throws PenniError as `compileToWasm` does, and "bad-option" if the name is no identifier, or the weights are too large
 *   for text
 */
export function compileToC(
  model: Uint8Array | Graph,
  { name, weights = "inside", example = false, prepare = false, inputShapes = {}, weightsType }: COptions,
): readonly EmittedFile[] {
  const given = model instanceof Uint8Array ? decodeModel(model) : model;
  const graph = fixInputShape(given, new Map(Object.entries(inputShapes)));
  const target = prepare ? preparingCTarget : cTarget;
  return cFiles(compileProgram(graph, target, weightsType), { name, weights, example });
}
