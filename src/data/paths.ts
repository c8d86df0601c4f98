import { constants, type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import { orDefault, present } from "../graph/at.js";

/** A path; as bytes where a name on it is not UTF-8, which a string would change. */
export type FilePath = string | Buffer;

/** The path of an entry of a folder. */
export function joinPath(folder: FilePath, name: Buffer): FilePath {
  const text = name.toString();
  if (typeof folder === "string" && Buffer.from(text).equals(name)) return path.join(folder, text);
  return Buffer.concat([Buffer.from(folder), Buffer.from(path.sep), name]);
}

/** One text for each path. */
export function pathKey(file: FilePath): string {
  return Buffer.from(file).toString("latin1");
}

/** A name as text: bytes that are not UTF-8 as \xNN. */
export function textOfName(name: Buffer): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decode = (from: number, length: number): string | undefined => {
    try {
      return decoder.decode(name.subarray(from, from + length));
    } catch {
      return undefined;
    }
  };
  const whole = decode(0, name.length);
  if (whole !== undefined) return whole;
  let text = "";
  for (let at = 0; at < name.length; ) {
    const length = [1, 2, 3, 4].find((each) => at + each <= name.length && decode(at, each) !== undefined);
    text += length === undefined ? `\\x${name.toString("hex", at, at + 1)}` : decode(at, length);
    // A byte that begins no character is shown alone.
    at += orDefault(length, 1);
  }
  return text;
}

/** Characters that a terminal obeys or does not show, and what separates lines. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

/** A path as a message shows it: what is not UTF-8 or not visible escaped. */
export function shownPath(file: FilePath): string {
  const text = typeof file === "string" ? file : textOfName(file);
  return text.replace(INVISIBLE, (character) => `\\u{${(present(character.codePointAt(0))).toString(16)}}`);
}

/** Windows has neither the flag nor such pipes. */
const nonBlocking = orDefault<number>(constants.O_NONBLOCK, 0);

/**
 * Opens a regular file for reading. Never waits: a pipe that somebody has put in the file's place is an error.
 * @throws Error of the system, or one that says that it is no file
 */
export async function openRegularFile(file: FilePath): Promise<FileHandle> {
  const handle = await open(file, constants.O_RDONLY | nonBlocking);
  try {
    if (!(await handle.stat()).isFile()) throw new Error("not a regular file");
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
