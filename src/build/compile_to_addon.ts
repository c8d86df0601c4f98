import type { COptions } from "../compile/c/compile_to_c.js";
import { checkName } from "../compile/c/names.js";
import { compileProgram } from "../compile/compile.js";
import { backend } from "../compile/node/backend.js";
import { at } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { fixInputShape } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { decodeModel } from "../onnx/read.js";
import { buildAddon } from "./addon.js";
import type { CrossProcessor } from "./c_compiler.js";

/** `name` is a C identifier: what the addon is called. */
export interface AddonOptions extends Pick<COptions, "name" | "inputShapes"> {
  /** The processor that it is made for, where it is another machine's. */
  readonly cross?: CrossProcessor;
}

/**
 * Compiles a model to an addon for Node with the C compiler of this machine (CC, else cc, gcc or clang).
 * @param model the bytes of an .onnx file with its weights inside, or a graph
 * @returns the bytes of a `.node` file, for `load` of penni/runtime once it is written
 * @throws PenniError as `compileToC` does, and "unsupported" if there is no C compiler or it fails
 */
export async function compileToAddon(
  model: Uint8Array | Graph,
  { name, inputShapes = {}, cross }: AddonOptions,
): Promise<Uint8Array> {
  const given = model instanceof Uint8Array ? decodeModel(model) : model;
  const graph = fixInputShape(given, new Map(Object.entries(inputShapes)));
  const checked = checkName(name);
  const emitted = backend.emit(compileProgram(graph, backend.target), { name: checked });
  const { files } = await buildAddon(emitted, backend.execution, checked, cross);
  const { content } = at(files, 0);
  if (typeof content === "string") throw new PenniError("internal", "an addon is no text");
  return content;
}
