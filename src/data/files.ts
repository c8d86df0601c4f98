import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { badData } from "./messages.js";
import { openRegularFile } from "./paths.js";

/** What is there: "file", "folder", or undefined for nothing that can be read (a pipe would wait for ever). */
export async function entryKind(file: string): Promise<"file" | "folder" | undefined> {
  const status = await stat(file).catch(() => undefined);
  if (status?.isDirectory() === true) return "folder";
  return status?.isFile() === true ? "file" : undefined;
}

/**
 * The contents of a regular file of at most `maxBytes` bytes; nothing else is waited for or read without end.
 * @throws PenniError "bad-data" if it is none, is larger or cannot be read
 */
export async function readWhole(file: string, maxBytes: number): Promise<Uint8Array> {
  await expectFile(file);
  const unreadable = (cause: unknown): never => {
    throw badData(file, "cannot read the file", { advice: "Check its permissions." }, cause);
  };
  const handle = await openRegularFile(file).catch(unreadable);
  try {
    const { size } = await handle.stat();
    if (size <= maxBytes) return await handle.readFile().catch(unreadable);
    throw badData(file, "the file is too large", { expected: `at most ${maxBytes} bytes`, found: `${size}` });
  } finally {
    await handle.close();
  }
}

/** @throws PenniError "bad-data" that says what is there instead of a file */
async function expectFile(file: string): Promise<void> {
  const stats = await stat(file).catch((cause: unknown) => {
    const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    throw isMissing
      ? badData(file, "no such file", { advice: "Check the path." }, cause)
      : badData(file, "cannot read the file", { advice: "Check the path and its permissions." }, cause);
  });
  if (stats.isFile()) return;
  const found = stats.isDirectory() ? "a directory" : "a device, pipe or socket";
  throw badData(file, "cannot read the file", { expected: "a file", found });
}

/** Names of the visible sub-folders and files of a folder, sorted by code unit on every machine. */
export async function listFolder(folder: string): Promise<{ folders: string[]; files: string[] }> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw badData(folder, "cannot read the folder", { advice: "Check the path and its permissions." }, cause);
  });
  const visible = names.filter((name) => !name.startsWith(".")).sort();
  const kinds = await Promise.all(visible.map((name) => entryKind(path.join(folder, name))));
  return {
    folders: visible.filter((_, index) => kinds[index] === "folder"),
    files: visible.filter((_, index) => kinds[index] === "file"),
  };
}
