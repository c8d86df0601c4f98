import { constants, existsSync } from "node:fs";
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

/**
 * Finds out, without changing anything, whether files can be written into a directory that is empty or not there yet.
 * @throws PenniError "io" if it is neither, or no place to write to
 */
export async function checkFreeDirectory(directory: string): Promise<void> {
  let place = path.resolve(directory);
  while (!existsSync(place) && place !== path.dirname(place)) place = path.dirname(place);
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
