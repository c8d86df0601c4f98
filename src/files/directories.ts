import { constants, existsSync, statSync } from "node:fs";
import { access, mkdir, readdir, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { PenniError } from "../graph/errors.js";
import { ioError, writeFileAtomic } from "./atomic.js";

/**
 * Makes a directory and those above it that are missing; returns the first one made. (Node's own way to do so
 * never ends where the system answers "no such directory" all the time, as /proc does.)
 */
export async function makeDirectory(directory: string): Promise<string> {
  const parent = path.dirname(directory);
  const first = existsSync(parent) ? directory : await makeDirectory(parent);
  await mkdir(directory);
  return first;
}

/** Removes a directory and those above it up to `last`, as far as they are empty. */
export async function removeEmpty(directory: string, last: string): Promise<void> {
  if (!directory.startsWith(last)) return;
  try {
    await rmdir(directory);
  } catch {
    return;
  }
  await removeEmpty(path.dirname(directory), last);
}

/** A file to be written. */
export interface NewFile {
  readonly name: string;
  readonly content: string | Uint8Array;
}

/** What files of results end with: whoever names a new directory so takes it for a file. */
const FILE_ENDING = /\.(onnx|wasm|node|c|h|html|json)$/i;

/**
 * Finds out, without changing anything, whether a path can be a directory's: one that is there, or a name that is free.
 * @throws PenniError "io" if it is a file or lies below one, "bad-option" if it is new and called like a file, or nothing
 */
export function checkDirectoryPath(directory: string): void {
  checkIsNamed(directory);
  const root = path.resolve(directory);
  const place = nearest(root);
  if (place !== root && FILE_ENDING.test(directory)) {
    throw new PenniError("bad-option", "this is a name for a file, where a directory is needed", {
      file: directory,
      advice: `Name a directory, such as ${directory.replace(FILE_ENDING, "")}: the files come into it`,
    });
  }
  const stats = statSync(place, { throwIfNoEntry: false });
  if (stats === undefined || stats.isDirectory()) return;
  throw new PenniError(
    "io",
    place === root ? "this is a file, where a directory is needed" : "a part of this path is a file",
    {
      file: directory,
      ...(place === root ? {} : { found: `the file ${place}` }),
      advice: "Name a directory that is new or empty",
    },
  );
}

/**
 * Finds out whether a file can be written without the loss of another; a device or a pipe takes what comes, and what else is
 * wrong with the path is said when the file is written.
 * @throws PenniError "io" if a file of that name is there, "bad-option" if there is no name
 */
export function checkFreeFile(file: string): void {
  checkIsNamed(file);
  if (!existsSync(file) || !statSync(file).isFile()) return;
  throw new PenniError("io", "there is a file of this name already", {
    file,
    advice: "Choose a new name with -o, or remove the file first",
  });
}

/** An empty path would be taken for the current directory. */
function checkIsNamed(place: string): void {
  if (place !== "") return;
  throw new PenniError("bad-option", "an empty name is no place for a result", {
    expected: "a path",
    found: '""',
    advice: "Choose one with -o; the current directory is called .",
  });
}

/** A path, or the lowest of what it lies in that is there. */
function nearest(root: string): string {
  let place = root;
  while (!existsSync(place) && place !== path.dirname(place)) place = path.dirname(place);
  return place;
}

/**
 * Finds out, without changing anything, whether files can be written into a directory that is empty or not there yet.
 * @throws PenniError as `checkDirectoryPath`; "io" also if it is not empty, or no place to write to
 */
export async function checkFreeDirectory(directory: string): Promise<void> {
  checkDirectoryPath(directory);
  const place = nearest(path.resolve(directory));
  let entries: readonly string[];
  try {
    // Entries can be listed of directories only.
    entries = await readdir(place);
    await access(place, constants.W_OK);
  } catch (error) {
    throw ioError(directory, "cannot write into the directory", error);
  }
  if (entries.length === 0 || place !== path.resolve(directory)) return;
  throw new PenniError("io", "this directory is not empty", {
    file: directory,
    advice: "Choose a new directory with -o",
  });
}

/**
 * Writes files into a directory, which is made where it is missing: all of them, each whole, or none.
 * @throws PenniError "io" as `checkFreeDirectory`, or if a file cannot be written
 */
export async function writeDirectory(directory: string, files: readonly NewFile[]): Promise<void> {
  await checkFreeDirectory(directory);
  const root = path.resolve(directory);
  const written: string[] = [];
  let made: string | undefined;
  try {
    if (!existsSync(root)) made = await makeDirectory(root);
    for (const { name, content } of files) {
      const file = path.join(root, name);
      await writeFileAtomic(file, content);
      written.push(file);
    }
  } catch (error) {
    for (const file of written) await rm(file, { force: true });
    if (made !== undefined) await removeEmpty(root, made);
    throw ioError(directory, "cannot write into the directory", error);
  }
}
