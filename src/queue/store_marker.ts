import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { ioError, isTemporaryFile } from "../files/atomic.js";
import { checkDirectoryPath } from "../files/directories.js";
import { PenniError } from "../graph/errors.js";
import { parseJson } from "../run/texts.js";
import { Missing, type Patience, whenThere } from "./awaiting.js";
import { storeIdSchema } from "./names.js";
import { errnoOf, replaceFile } from "./plain_files.js";

/** The file by which a store is known: without it, an empty directory may be a file system that is not mounted. */
export const MARKER = "penni-store.json";

const markerSchema = z.strictObject({ format: z.literal(1), id: storeIdSchema });

/** Whether a directory holds anything but what a store begins with. */
async function isOccupied(directory: string): Promise<boolean> {
  const names = await readdir(directory);
  return names.some((name) => !isTemporaryFile(name)) && !names.includes(MARKER);
}

/** Makes a store of a directory that is empty or not there yet, unless it is one. @throws PenniError "io" */
export async function makeMarked(directory: string, isDurable: boolean): Promise<void> {
  try {
    if ((await markerText(directory)) !== undefined) return;
    checkDirectoryPath(directory);
    await mkdir(directory, { recursive: true });
    if (await isOccupied(directory)) throw notEmpty(directory);
    await replaceFile(
      path.join(directory, MARKER),
      `${JSON.stringify({ format: 1, id: randomBytes(16).toString("hex") })}\n`,
      isDurable,
    );
  } catch (error) {
    throw ioError(directory, "cannot make a store in the directory", error);
  }
}

/** The store's id. @throws PenniError "io" if there is none in the directory, "bad-file" if it is another version's */
export async function markedId(directory: string): Promise<string> {
  const text = await markerText(directory).catch((error: unknown) => {
    throw none(directory, String(errnoOf(error)));
  });
  if (text === undefined) throw none(directory, "ENOENT");
  const marker = markerSchema.safeParse(parseJson(text));
  if (marker.success) return marker.data.id;
  throw new PenniError("bad-file", "what marks this store is damaged, or from another version of Penni", {
    file: path.join(directory, MARKER),
    expected: "format 1 and an id",
    advice: "Put the file back as it was; a new store, with another id, makes a sweep begin anew",
  });
}

/**
 * Waits until a sweep has made a store of a directory that is empty or not there yet.
 * @throws PenniError "io" when the time is over, or if the directory holds something else
 */
export async function awaitMarked(directory: string, patience: Patience): Promise<void> {
  const missing = new Missing(
    `${directory} is no store yet: waiting for a sweep to make it, or for its file system to be mounted`,
    (after) => none(directory, "nothing", after),
  );
  const look = async (): Promise<true | Missing> => (await isMarked(directory)) || missing;
  await whenThere(look, `${directory} is a store now`, patience);
}

/** @throws PenniError "io" if the directory can never be a store, or cannot be read */
async function isMarked(directory: string): Promise<boolean> {
  try {
    if ((await markerText(directory)) !== undefined) return true;
    if (await isOccupied(directory)) throw notEmpty(directory);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw ioError(directory, "cannot read the store", error);
  }
  return false;
}

/** Undefined where there is none. */
async function markerText(directory: string): Promise<string | undefined> {
  try {
    return await readFile(path.join(directory, MARKER), "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function none(directory: string, found: string, when = ""): PenniError {
  const problem = "there is no store of Penni in this directory";
  return new PenniError("io", when === "" ? problem : `${problem} ${when}`, {
    file: directory,
    expected: `the file ${MARKER}`,
    found,
    advice: "Check that the file system is mounted; the sweep makes the store when it starts",
  });
}

function notEmpty(directory: string): PenniError {
  return new PenniError("io", "this directory is not empty, and no store of Penni", {
    file: directory,
    advice: "Choose an empty directory for the store",
  });
}
