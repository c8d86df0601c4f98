import { createHash, randomBytes } from "node:crypto";
import { constants, createReadStream, createWriteStream } from "node:fs";
import { lstat, open, readFile, rename, rm, unlink } from "node:fs/promises";
import path from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ioError } from "../files/atomic.js";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { digestOf } from "../run/digests.js";
import type { StoredFile } from "./store.js";

/** Windows has no such flag, and no links that anybody may make. */
const PLAIN = constants.O_RDONLY | orDefault<number>(constants.O_NOFOLLOW, 0);
/** Files up to here are read as a whole. */
export const SMALL_FILE = 2 ** 20;

export const sha256Of = (content: Uint8Array | string): string =>
  createHash("sha256").update(content).digest("hex");

export function damaged(file: string, found: string): PenniError {
  return new PenniError("bad-file", "the store is damaged", {
    file,
    expected: "what its name says",
    found,
    advice: "Delete it: what is missing is made again",
  });
}

export function errnoOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Undefined where there is no such file. @throws PenniError "bad-file" if it is a link or a folder */
export async function readPlain(file: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(file, { flag: PLAIN });
  } catch (error) {
    const code = errnoOf(error);
    if (code === "ENOENT") return undefined;
    throw code === "ELOOP" || code === "EISDIR" ? damaged(file, "a link or folder") : error;
  }
}

/** Removes a file, if it is there. @throws PenniError "bad-file" if it is a folder, which is not ours to remove */
export async function removeFile(file: string): Promise<void> {
  await unlink(file).catch((error: unknown) => {
    const code = errnoOf(error);
    if (code !== "ENOENT") throw code === "EISDIR" ? damaged(file, "a folder") : error;
  });
}

export const temporaryName = (): string => `.penni-${process.pid}-${randomBytes(6).toString("hex")}.tmp`;

/** @param isDurable whether it survives a power cut */
export async function writeNew(
  file: string,
  content: Uint8Array | string,
  isDurable: boolean,
): Promise<void> {
  const handle = await open(file, "wx");
  try {
    await handle.writeFile(content);
    if (isDurable) await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file, so that readers see the old one or the new one. */
export async function replaceFile(
  file: string,
  content: Uint8Array | string,
  isDurable: boolean,
): Promise<void> {
  const temporary = path.join(path.dirname(file), temporaryName());
  try {
    await writeNew(temporary, content, isDurable);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Whether an object is there and what its name says. @throws PenniError "bad-file" if it is a link or a folder */
export async function isWhole(file: string, sha256: string): Promise<boolean> {
  const stats = await lstat(file).catch(() => undefined);
  if (stats === undefined) return false;
  if (!stats.isFile()) throw damaged(file, "a link or folder");
  return (await digestOf(file)) === sha256;
}

/** Copies a file into one that is not there yet, and says what it was. */
export async function copyFile(from: string, to: string, isDurable: boolean): Promise<StoredFile> {
  const hash = createHash("sha256");
  let bytes = 0;
  const counting = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.byteLength;
      done(null, chunk);
    },
  });
  const target = createWriteStream(to, { flags: "wx", flush: isDurable });
  // Which of the two disks is at fault.
  let failure: Error | undefined;
  target.on("error", (error) => {
    failure ??= error;
  });
  try {
    await pipeline(createReadStream(from), counting, target);
  } catch (error) {
    throw error === failure ? ioError(to, "cannot write the file", error) : error;
  }
  return { sha256: hash.digest("hex"), bytes };
}
