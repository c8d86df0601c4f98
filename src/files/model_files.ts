import { closeSync, openSync, readFileSync, readSync, realpathSync, type Stats, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { decodeModel } from "../onnx/read.js";
import type { ExternalData, ExternalReader } from "../onnx/tensors.js";
import { type EncodeOptions, encodeModelParts, encodeModelWithData, isTooLarge } from "../onnx/write.js";
import { ioError, writeFileAtomic } from "./atomic.js";
import { checkIsFile } from "./regular_file.js";

/** Protobuf messages, and what Node reads at once, end here. */
const LARGEST_FILE_BYTES = 2 ** 31 - 1;

function checkReadable(file: string, stats: Stats): void {
  checkIsFile(file, stats);
  if (stats.size <= LARGEST_FILE_BYTES) return;
  throw new PenniError("unsupported", "the file is too large", {
    file,
    expected: `at most ${LARGEST_FILE_BYTES} bytes`,
    found: `${stats.size}`,
    advice: "Export the model with external data",
  });
}

/** A data file: in memory as a whole, or, where it is too large for that, read piece by piece. */
function dataFile(file: string, size: number): ExternalData {
  if (size > LARGEST_FILE_BYTES) return largeDataFile(file, size);
  const bytes = readFileSync(file);
  return {
    byteLength: bytes.byteLength,
    read: (offset, length) => new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length),
  };
}

/** All pieces together are no larger than the file, so that overlapping tensors cannot fill the memory. */
function largeDataFile(file: string, size: number): ExternalData {
  let left = size;
  return {
    byteLength: size,
    read: (offset, length) => {
      left -= length;
      if (left < 0) {
        throw new PenniError("bad-model", "the tensors of the model overlap in its data file", {
          file,
          expected: `${size} bytes in all`,
          found: `${size - left}`,
        });
      }
      return readPiece(file, offset, length);
    },
  };
}

function readPiece(file: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const descriptor = openSync(file, "r");
  try {
    for (let done = 0; done < length; ) {
      const count = Math.min(length - done, LARGEST_FILE_BYTES);
      const read = readSync(descriptor, bytes, done, count, offset + done);
      if (read === 0) throw new PenniError("io", "the model's data file became shorter", { file });
      done += read;
    }
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}

function leavesDirectory(directory: string, file: string): boolean {
  const relative = path.relative(directory, file);
  return relative === "" || relative.split(path.sep)[0] === ".." || path.isAbsolute(relative);
}

/** Told the size in bytes of each file that is read, and where it is. */
type SizeListener = (bytes: number, file: string) => void;

/** Reads external data below a directory, each file once; symbolic links may not lead out of it. */
function externalReader(directory: string, onSize: SizeListener): ExternalReader {
  // By the file's own name: a location has many spellings.
  const contents = new Map<string, ExternalData>();
  const refuse = (location: string): PenniError =>
    new PenniError("bad-model", "the model refers to a data file outside its own directory", {
      expected: "a path below the model's directory",
      found: `"${location}"`,
      advice: "Put the data file beside the model and export it again",
    });
  const load = (location: string, file: string): ExternalData => {
    const target = realpathSync(file);
    const known = contents.get(target);
    if (known !== undefined) return known;
    if (leavesDirectory(realpathSync(directory), target)) throw refuse(location);
    const stats = statSync(target);
    checkIsFile(file, stats);
    onSize(stats.size, file);
    const data = dataFile(target, stats.size);
    contents.set(target, data);
    return data;
  };
  return (location) => {
    if (location.includes("\0") || path.isAbsolute(location) || path.win32.isAbsolute(location)) {
      throw refuse(location);
    }
    const file = path.join(directory, location);
    if (leavesDirectory(directory, file)) throw refuse(location);
    try {
      return load(location, file);
    } catch (error) {
      if (error instanceof PenniError) throw error;
      throw ioError(file, "cannot read the model's data file", error);
    }
  };
}

/**
 * Reads an .onnx file, and the files of external data it refers to in its own directory.
 * @throws PenniError "io" if a file cannot be read, "unsupported" beyond 2 GiB, "bad-file" or "bad-model" as
 * `decodeModel` does; all name the file.
 */
export async function readModel(file: string): Promise<Graph> {
  return (await readModelAndSize(file)).graph;
}

/** A model, the bytes of all files that it is in, and those beside its own. */
export interface SizedModel {
  readonly graph: Graph;
  readonly bytes: number;
  /** Paths of its data files from the model's directory. */
  readonly dataFiles: readonly string[];
}

/**
 * `readModel`, and the bytes of all files that the model is in.
 * @throws as `readModel`
 */
export async function readModelAndSize(file: string): Promise<SizedModel> {
  let bytes: Uint8Array;
  try {
    checkReadable(file, await stat(file));
    bytes = await readFile(file);
  } catch (error) {
    throw ioError(file, "cannot read the model", error);
  }
  let size = bytes.byteLength;
  const dataFiles: string[] = [];
  const directory = path.dirname(path.resolve(file));
  const external = externalReader(directory, (more, found) => {
    size += more;
    dataFiles.push(path.relative(directory, found));
  });
  const graph = decodeModel(bytes, { file, external });
  return { graph, bytes: size, dataFiles };
}

export interface WriteOptions extends EncodeOptions {
  /**
   * Put the weights into a file of their own beside the model, NAME.onnx.data. Default: where they take more than the
   * 2 GiB that a model's own file can hold.
   */
  readonly externalData?: boolean;
}

/**
 * Writes an .onnx file, whole or not at all (weights inside, or in a data file that is written before it; see
 * `encodeModel` for sparse ones).
 * @returns the size of what was written in bytes.
 * @throws PenniError "io" naming the file if it cannot be written.
 */
export async function writeModel(file: string, graph: Graph, options: WriteOptions = {}): Promise<number> {
  const { externalData = isTooLarge(graph) } = options;
  if (!externalData) return writeFileAtomic(file, encodeModelParts(graph, options));
  const dataName = `${path.basename(file)}.data`;
  const { model, data } = encodeModelWithData(graph, dataName, options);
  const dataBytes = await writeFileAtomic(path.join(path.dirname(file), dataName), data);
  return dataBytes + (await writeFileAtomic(file, model));
}
