import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { PenniError } from "../graph/errors.js";

/**
 * Checks what lies in the folders of a run: reading a pipe, or writing to it, would wait for ever. Folders that are
 * missing or cannot be read are left to whoever needs them.
 * @throws PenniError "bad-file" that names what is neither a file nor a directory
 */
export async function checkEntries(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    for (const name of await readdir(folder).catch(() => [])) await checkEntry(path.join(folder, name));
  }
}

async function checkEntry(file: string): Promise<void> {
  // A link that leads nowhere is as good as nothing.
  const stats = await stat(file).catch(() => undefined);
  if (stats === undefined || stats.isFile() || stats.isDirectory()) return;
  throw new PenniError("bad-file", "this is no part of a run", {
    file,
    expected: "a file",
    found: "a device or pipe",
    advice: "Remove it",
  });
}
