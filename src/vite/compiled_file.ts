import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { compileModel } from "../build/compile_model.js";
import { cName } from "../compile/c/names.js";
import { backend } from "../compile/wasm/backend.js";
import { writeFileAtomic } from "../files/atomic.js";
import { readModel } from "../files/model_files.js";
import { penniVersion } from "../files/version.js";
import { at } from "../graph/at.js";
import { naming } from "../graph/naming.js";
import { encodeModel } from "../onnx/write.js";
import type { ModelRequest } from "./request.js";

/** A module on disk. */
interface CompiledFile {
  readonly file: string;
  /** What of the model was left out when it was compiled just now, for people. */
  readonly notices: readonly string[];
}

/**
 * The module that a model is compiled to, made unless it is there already: its name says what it was made of.
 * @throws PenniError naming the model's file
 */
export async function compiledFile(
  { file: model, inputShapes }: ModelRequest,
  directory: string,
): Promise<CompiledFile> {
  const graph = await readModel(model);
  const name = cName(path.basename(model, ".onnx"));
  const key = createHash("sha256")
    .update(JSON.stringify([penniVersion(), ...inputShapes]))
    // With what lies in files beside it.
    .update(encodeModel(graph))
    .digest("hex");
  const file = path.join(directory, `${name}-${key.slice(0, 16)}.wasm`);
  if (existsSync(file)) return { file, notices: [] };
  const { files, notices } = await naming(model, () => compileModel(graph, backend, { name, inputShapes }));
  await mkdir(directory, { recursive: true });
  await writeFileAtomic(file, at(files, 0).content);
  return { file, notices };
}
