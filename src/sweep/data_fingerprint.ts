import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { placedSpec } from "../data/spec.js";
import { ioError } from "../files/atomic.js";

/** Bytes that are read of a set of images to know it again; of a larger one every n-th file is. */
const MOST_BYTES = 2 ** 32;
const DEEPEST = 32;

interface ListedFile {
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
}

const known = new Map<string, Promise<string>>();

/**
 * A digest by which images are known again on another machine: of the names and sizes of all files, and of their
 * content, up to 4 GiB. Read once by a process.
 * @returns undefined for images that are computed
 * @throws PenniError "io"
 */
export async function dataFingerprint(spec: string): Promise<string | undefined> {
  const placed = placedSpec(spec);
  if (placed === undefined) return undefined;
  const { place } = placed;
  const found = known.get(place) ?? fingerprintOf(place);
  known.set(place, found);
  try {
    return await found;
  } catch (error) {
    known.delete(place);
    throw ioError(place, "cannot read the images", error);
  }
}

async function fingerprintOf(place: string): Promise<string> {
  const files: ListedFile[] = [];
  await listFiles(place, "", new Set(), files);
  files.sort((a, b) => (a.name < b.name ? -1 : 1));
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const every = Math.max(1, Math.ceil(total / MOST_BYTES));
  const hash = createHash("sha256");
  for (const [index, { name, file, bytes }] of files.entries()) {
    hash.update(JSON.stringify([name, bytes]));
    if (index % every === 0) await addContent(hash, file);
  }
  return hash.digest("hex");
}

async function addContent(hash: Hash, file: string): Promise<void> {
  for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
}

/** @param files gets what is found: a folder may have more than a call can pass on */
async function listFiles(
  place: string,
  name: string,
  above: ReadonlySet<string>,
  files: ListedFile[],
): Promise<void> {
  const stats = await stat(place);
  if (stats.isFile()) files.push({ name, file: place, bytes: stats.size });
  if (!stats.isDirectory()) return;
  const real = await realpath(place);
  // A link to a folder that it is in.
  if (above.has(real) || above.size >= DEEPEST) return;
  for (const entry of await readdir(place)) {
    if (entry.startsWith(".")) continue;
    const inner = path.join(place, entry);
    await listFiles(inner, `${name}/${entry}`, new Set([...above, real]), files).catch((error: unknown) => {
      throw ioError(inner, "cannot read the images", error);
    });
  }
}
