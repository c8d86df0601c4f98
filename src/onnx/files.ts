import { readFileSync, realpathSync, type Stats, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { ioError, writeFileAtomic } from "./atomic.js";
import { decodeModel } from "./read.js";
import type { ExternalReader } from "./tensors.js";
import { type EncodeOptions, encodeModel } from "./write.js";

/** Protobuf messages, and what Node reads at once, end here. */
const LARGEST_FILE_BYTES = 2 ** 31 - 1;

function checkReadable(file: string, stats: Stats): void {
  if (!stats.isFile()) {
    const found = stats.isDirectory() ? "a directory" : "a device or pipe";
    throw new PenniError("io", "cannot read the file", {
      file,
      expected: "a file",
      found,
      advice: "Name a file",
    });
  }
  if (stats.size > LARGEST_FILE_BYTES) {
    throw new PenniError("unsupported", "the file is too large", {
      file,
      expected: `at most ${LARGEST_FILE_BYTES} bytes`,
      found: `${stats.size}`,
    });
  }
}

function leavesDirectory(directory: string, file: string): boolean {
  const relative = path.relative(directory, file);
  return relative === "" || relative.split(path.sep)[0] === ".." || path.isAbsolute(relative);
}

/** Reads external data below a directory, each file once; symbolic links may not lead out of it. */
function externalReader(directory: string): ExternalReader {
  const cache = new Map<string, Uint8Array>();
  const refuse = (location: string): PenniError =>
    new PenniError("bad-model", "the model refers to a data file outside its own directory", {
      expected: "a path below the model's directory",
      found: `"${location}"`,
      advice: "Put the data file beside the model and export it again",
    });
  const load = (location: string): Uint8Array => {
    if (location.includes("\0") || path.isAbsolute(location) || path.win32.isAbsolute(location)) {
      throw refuse(location);
    }
    const file = path.join(directory, location);
    if (leavesDirectory(directory, file)) throw refuse(location);
    try {
      const target = realpathSync(file);
      if (leavesDirectory(realpathSync(directory), target)) throw refuse(location);
      checkReadable(file, statSync(target));
      return readFileSync(target);
    } catch (error) {
      if (error instanceof PenniError) throw error;
      throw ioError(file, "cannot read the model's data file", error);
    }
  };
  return (location) => {
    const bytes = cache.get(location) ?? load(location);
    cache.set(location, bytes);
    return bytes;
  };
}

/**
 * Reads an .onnx file, and the files of external data it refers to in its own directory.
 * @throws PenniError "io" if a file cannot be read, "unsupported" beyond 2 GiB, "bad-file" or "bad-model" as
 * `decodeModel` does; all name the file.
 */
export async function readModel(file: string): Promise<Graph> {
  let bytes: Uint8Array;
  try {
    checkReadable(file, await stat(file));
    bytes = await readFile(file);
  } catch (error) {
    throw ioError(file, "cannot read the model", error);
  }
  return decodeModel(bytes, { file, external: externalReader(path.dirname(path.resolve(file))) });
}

/**
 * Writes an .onnx file, whole or not at all (weights inside; see `encodeModel` for sparse ones).
 * @returns the size of the file in bytes.
 * @throws PenniError "io" naming the file if it cannot be written.
 */
export async function writeModel(file: string, graph: Graph, options: EncodeOptions = {}): Promise<number> {
  return writeFileAtomic(file, encodeModel(graph, options));
}
