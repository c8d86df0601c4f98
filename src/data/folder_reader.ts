import { readdir, stat } from "node:fs/promises";
import {
  extensionOf,
  formatOfContent,
  formatOfName,
  HEAD_BYTES,
  isRead,
  type ReadFormat,
} from "./image_formats.js";
import { badData } from "./messages.js";
import { type FilePath, joinPath, openRegularFile, pathKey, shownPath, textOfName } from "./paths.js";
import { Skipped, type SkipReason } from "./skipped.js";

/** Something in a folder that is used. */
export interface Entry {
  readonly path: FilePath;
  /** What is not UTF-8 in it as \xNN. */
  readonly name: string;
}

export interface ImageEntry extends Entry {
  /** Undefined where a file has a picture's extension, but content of no known kind: it is damaged. */
  readonly format: ReadFormat | undefined;
}

/** Each sorted by name, by code unit on every machine. */
export interface FolderEntries {
  readonly folders: readonly Entry[];
  readonly images: readonly ImageEntry[];
  /** Names of everything else, for messages. */
  readonly rest: readonly string[];
}

/** By code unit. Two names that are not the same may be shown alike. */
const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

type Found =
  | ({ readonly kind: "folder" } & Entry)
  | ({ readonly kind: "image" } & ImageEntry)
  | ({ readonly kind: "skipped"; readonly reason: SkipReason } & Entry);

/** Files that are looked at side by side. */
const AT_ONCE = 32;

/** Reads folders of images, each once; what is no image or folder is kept account of. */
export class FolderReader {
  readonly skipped = new Skipped();
  private readonly known = new Map<string, Promise<FolderEntries>>();

  /** @throws PenniError "bad-data" if the folder cannot be read */
  read(folder: FilePath): Promise<FolderEntries> {
    const key = pathKey(folder);
    const entries = this.known.get(key) ?? this.list(folder);
    this.known.set(key, entries);
    return entries;
  }

  private async list(folder: FilePath): Promise<FolderEntries> {
    const names = await readdir(folder, { encoding: "buffer" }).catch((cause: unknown) => {
      const advice = { advice: "Check the path and its permissions." };
      throw badData(shownPath(folder), "cannot read the folder", advice, cause);
    });
    const found: Found[] = [];
    const queue = names.values();
    const work = async (): Promise<void> => {
      for (const name of queue) found.push(await examine(folder, name));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    found.sort((a, b) => order(a.name, b.name) || order(pathKey(a.path), pathKey(b.path)));
    const skipped = found.filter((entry) => entry.kind === "skipped");
    for (const entry of skipped) this.skipped.add(entry.reason, entry.path);
    return {
      folders: found.filter((entry) => entry.kind === "folder"),
      images: found.filter((entry) => entry.kind === "image"),
      rest: skipped.map((entry) => entry.name),
    };
  }
}

async function examine(folder: FilePath, bytes: Buffer): Promise<Found> {
  const entry = { path: joinPath(folder, bytes), name: textOfName(bytes) };
  const skip = (reason: SkipReason): Found => ({ kind: "skipped", reason, ...entry });
  if (entry.name.startsWith(".")) return skip("hidden");
  if (isSystemEntry(entry.name)) return skip("system");
  try {
    const status = await stat(entry.path);
    if (status.isDirectory()) return { kind: "folder", ...entry };
    if (!status.isFile()) return skip("special");
    if (status.size === 0) return skip("empty");
    return judge(entry, await readHead(entry.path));
  } catch (error) {
    return skip(reasonOf(error));
  }
}

/** What systems put beside people's files without showing it, in lower case. */
const systemEntries: ReadonlySet<string> = new Set([
  // macOS: in archives, on the desktop.
  "__macosx",
  "icon\r",
  // Windows: previews, looks of a folder, deleted files, indices.
  "thumbs.db",
  "ehthumbs.db",
  "desktop.ini",
  "$recycle.bin",
  "system volume information",
  // Network drives, and what a check of a file system finds.
  "@eadir",
  "#recycle",
  "lost+found",
]);

const isSystemEntry = (name: string): boolean => systemEntries.has(name.toLowerCase());

/** What a file is by its content; its name decides only whether it is meant to be looked at. */
function judge(entry: Entry, head: Uint8Array): Found {
  const format = formatOfContent(head);
  const promised = formatOfName(entry.name);
  const isMeant = promised !== undefined || extensionOf(entry.name) === undefined;
  if (isRead(format) && isMeant) return { kind: "image", format, ...entry };
  if (format === undefined && promised !== undefined) return { kind: "image", format, ...entry };
  const reason = format === undefined ? "other" : isRead(format) ? "disguised" : format;
  return { kind: "skipped", reason, ...entry };
}

async function readHead(file: FilePath): Promise<Uint8Array> {
  const handle = await openRegularFile(file);
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function reasonOf(error: unknown): SkipReason {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "dangling";
  return code === "ELOOP" ? "circle" : "unreadable";
}
