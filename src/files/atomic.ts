import { randomBytes } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { type FileHandle, open, readlink, realpath, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { messageOf, PenniError } from "../graph/errors.js";

const adviceByErrno: Readonly<Record<string, string>> = {
  ENOENT: "Check the path",
  ENOTDIR: "Check the path: a part of it is not a directory",
  ELOOP: "Check the path: a link in it leads in a circle",
  EISDIR: "Name a file, not a directory",
  EACCES: "Check the permissions of the file and its directory",
  EPERM: "Check the permissions of the file and its directory",
  EROFS: "Choose a place that can be written",
  ENOSPC: "The disk is full: free some space and run again",
  EDQUOT: "The disk quota is used up: free some space and run again",
  EFBIG: "The file would be larger than the system allows",
  ENAMETOOLONG: "Choose a shorter name",
  EMFILE: "Too many files are open: close some programs and run again",
};

function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** A failed file operation as a PenniError "io" with advice; `problem` reads like "cannot write the file". */
export function ioError(file: string, problem: string, error: unknown): PenniError {
  if (error instanceof PenniError) return error.within({ file });
  const errno = errnoOf(error);
  const advice = errno === undefined ? undefined : adviceByErrno[errno];
  const found = errno ?? messageOf(error);
  return new PenniError(
    "io",
    errno === "ENOENT" ? `${problem}: no such file or directory` : problem,
    { file, ...(errno === "ENOENT" ? {} : { found }), ...(advice === undefined ? {} : { advice }) },
    { cause: error },
  );
}

async function writeDurably(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const handle = await open(file, "wx");
  try {
    for (const part of parts) await handle.writeFile(part);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a rename survive a power cut; not every system allows it on a directory, and none needs it. */
async function syncDirectory(directory: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(directory, "r");
    await handle.sync();
  } catch {
    return;
  } finally {
    await handle?.close();
  }
}

/** Whether a file of this name is what `writeFileAtomic` leaves behind when the process is killed. */
export function isTemporaryFile(name: string): boolean {
  return /^\.penni-\d+-[0-9a-f]{12}\.tmp$/.test(name);
}

/** Where contents go that are written to a path. */
interface Destination {
  /** Of a link, the file that it leads to. */
  readonly file: string;
  /** A device, pipe or socket: it must not be replaced by a file, and takes the contents itself. */
  readonly isStream: boolean;
}

async function destinationOf(file: string): Promise<Destination> {
  const stats = await stat(file).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (stats === undefined) return await freeDestination(file);
  if (stats.isFile()) return { file: await realpath(file), isStream: false };
  // A link to a directory could be replaced by a file: it must not be.
  if (stats.isDirectory()) throw Object.assign(new Error("is a directory"), { code: "EISDIR" });
  return { file, isStream: true };
}

/** Of a link to nothing, what it leads to. */
async function freeDestination(file: string): Promise<Destination> {
  const target = await readlink(file).catch(() => undefined);
  if (target === undefined) return { file, isStream: false };
  return await destinationOf(path.resolve(await realpath(path.dirname(file)), target));
}

async function writeStream(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const handle = await open(file, "w");
  try {
    for (const part of parts) await handle.writeFile(part);
  } finally {
    await handle.close();
  }
}

/** New contents of a file, on the disk beside it and not in its place yet: exactly one of the two is to be called. */
export interface FileDraft {
  /** Puts them in the file's place. @throws PenniError "io" naming the file */
  keep(): Promise<void>;
  /** Removes them: the file stays as it is. */
  discard(): Promise<void>;
}

/**
 * Writes contents that may still turn out to be wanted or not; they survive a power cut from now on.
 * @param parts one after the other; none is copied
 * @param previous where the old contents are kept, if there are any
 * @throws PenniError "io" naming the file
 */
export async function draftFile(
  file: string,
  parts: readonly Uint8Array[],
  previous?: string,
): Promise<FileDraft> {
  const directory = path.dirname(file);
  const temporary = path.join(directory, `.penni-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
  const discard = (): Promise<void> => rm(temporary, { force: true }).catch(() => undefined);
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      await discard();
      throw writeError(file, error);
    }
  };
  await attempt(() => writeDurably(temporary, parts));
  const putInPlace = async (): Promise<void> => {
    if (previous !== undefined && existsSync(file)) await keep(file, previous);
    await rename(temporary, file);
    await syncDirectory(directory);
  };
  return { keep: () => attempt(putInPlace), discard };
}

/** Moves a file out of the way of its new contents. */
async function keep(file: string, previous: string): Promise<void> {
  try {
    await rename(file, previous);
  } catch (error) {
    throw ioError(previous, "cannot write the file", error);
  }
}

/**
 * Writes a file so that its name shows the old or the new contents and nothing in between: into a temporary
 * file beside it, flushed to disk, then renamed. The temporary file is removed on failure. A link stays, and what it
 * leads to is written; a device or a pipe stays what it is, and the contents go into it.
 * @param contents in one piece or several, one after the other
 * @param previous where the old contents are kept, if there are any
 * @returns the number of bytes written.
 * @throws PenniError "io" naming the file.
 */
export async function writeFileAtomic(
  file: string,
  contents: Uint8Array | string | readonly Uint8Array[],
  previous?: string,
): Promise<number> {
  const parts = partsOf(contents);
  try {
    const destination = await destinationOf(file);
    if (destination.isStream) await writeStream(file, parts);
    else await (await draftFile(destination.file, parts, previous)).keep();
  } catch (error) {
    throw writeError(file, error);
  }
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}

function writeError(file: string, error: unknown): PenniError {
  const folder = path.dirname(file);
  const found = errnoOf(error);
  if (error instanceof PenniError || found === undefined)
    return ioError(file, "cannot write the file", error);
  if (/[\\/]$/.test(file) || (existsSync(file) && statSync(file).isDirectory())) {
    const details = { file, found, advice: `Name a file in it, as ${path.join(file, "NAME")}` };
    return new PenniError("io", "this is a directory, where a file is needed", details, { cause: error });
  }
  if (found !== "ENOENT" || existsSync(folder)) return ioError(file, "cannot write the file", error);
  const details = { file, advice: `Make it first: mkdir -p ${folder}` };
  return new PenniError("io", "the file's directory is not there", details, { cause: error });
}

function partsOf(contents: Uint8Array | string | readonly Uint8Array[]): readonly Uint8Array[] {
  if (typeof contents === "string") return [new TextEncoder().encode(contents)];
  return contents instanceof Uint8Array ? [contents] : contents;
}
