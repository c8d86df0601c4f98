import { readdir, readFile } from "node:fs/promises";
import { ioError } from "../files/atomic.js";

export { parseJson } from "../graph/json.js";

export async function readText(file: string): Promise<string> {
  return (await readBytes(file)).toString();
}

export async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw ioError(file, "cannot read the file", error);
  }
}

export async function listDirectory(root: string): Promise<string[]> {
  try {
    return await readdir(root);
  } catch (error) {
    throw ioError(root, "cannot read the directory", error);
  }
}
