import type { Stats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { PenniError } from "../graph/errors.js";
import { ioError } from "./atomic.js";

/** @throws PenniError "io" if there is something else than a file, which could be waited for or read without end */
export function checkIsFile(file: string, stats: Stats): void {
  if (stats.isFile()) return;
  const found = stats.isDirectory() ? "a directory" : "a device or pipe";
  throw new PenniError("io", "cannot read the file", {
    file,
    expected: "a file",
    found,
    advice: "Name a file",
  });
}

/**
 * The contents of a regular file.
 * @param problem reads like "cannot read the budget"
 * @throws PenniError "io" if it is none or cannot be read
 */
export async function readRegularFile(file: string, problem: string): Promise<Uint8Array> {
  try {
    checkIsFile(file, await stat(file));
    return await readFile(file);
  } catch (error) {
    throw ioError(file, problem, error);
  }
}
