import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { placedSpec } from "../data/spec.js";
import { ioError } from "../files/atomic.js";
import { PenniError } from "../graph/errors.js";

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
  const files = await listFiles(place, "", new Set());
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

async function listFiles(place: string, name: string, above: ReadonlySet<string>): Promise<ListedFile[]> {
  const stats = await stat(place);
  if (stats.isFile()) return [{ name, file: place, bytes: stats.size }];
  if (!stats.isDirectory()) return [];
  const real = await realpath(place);
  // A link to a folder that it is in.
  if (above.has(real) || above.size >= DEEPEST) return [];
  const files: ListedFile[] = [];
  for (const entry of await readdir(place)) {
    if (entry.startsWith(".")) continue;
    const inner = path.join(place, entry);
    files.push(
      ...(await listFiles(inner, `${name}/${entry}`, new Set([...above, real])).catch((error: unknown) => {
        throw ioError(inner, "cannot read the images", error);
      })),
    );
  }
  return files;
}

/** A folder of the sweep's machine, and what it is on this one. */
export interface DataMap {
  readonly from: string;
  readonly to: string;
}

/** The specification as it is meant on this machine: the longest folder that is mapped decides. */
export function localSpec(spec: string, maps: readonly DataMap[]): string {
  const placed = placedSpec(spec);
  if (placed === undefined) return spec;
  const fitting = maps
    .filter(({ from }) => placed.place === from || placed.place.startsWith(`${from}/`))
    .sort((a, b) => b.from.length - a.from.length);
  const [map] = fitting;
  return map === undefined ? spec : `${placed.kind}${map.to}${placed.place.slice(map.from.length)}`;
}

/** @throws PenniError "bad-data" where these are other images than the sweep's */
export async function checkData(spec: string, fingerprint: string | null): Promise<void> {
  const found = await dataFingerprint(spec);
  if (found === (fingerprint ?? undefined)) return;
  throw new PenniError("bad-data", "these are not the images of the sweep", {
    file: spec,
    expected: `files with the digest ${short(fingerprint)}`,
    found: short(found),
    advice: "Copy them again, or say where they are: penni worker --data-map FROM=TO",
  });
}

const short = (digest: string | null | undefined): string => (digest ?? "none at all").slice(0, 16);
