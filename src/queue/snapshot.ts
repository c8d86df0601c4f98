import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { ioError } from "../files/atomic.js";
import { entryOf } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { isLockFile } from "../run/lock.js";
import { parsedJson, type RunPlaces } from "./document.js";
import { describeIssues, digestSchema, runFileSchema } from "./names.js";
import type { Store, StoredFile } from "./store.js";

/** The files of a run at one moment. */
const manifestSchema = z.strictObject({
  format: z.literal(1),
  files: z.array(z.strictObject({ name: runFileSchema, sha256: digestSchema })).max(10_000),
});

type Manifest = z.infer<typeof manifestSchema>;

/** A run in the store. */
export interface Snapshot {
  /** Digest of the list of its files. */
  readonly manifest: string;
  /** All objects that it needs. */
  readonly objects: ReadonlySet<string>;
}

const CONFIG = "config.json";
const FOLDERS = ["checkpoints", "stages"] as const;
/** Made again from the rest whenever the run goes on. */
const REPORT = "report.html";
const TRIES = 3;

interface Listed {
  readonly name: string;
  readonly file: string;
  /** Changes with every change of the file. */
  readonly state: string;
}

/** Files that were put into the store before, by name and state. */
type Known = Map<string, { readonly state: string; readonly stored: StoredFile }>;

/** Takes snapshots of a run while it goes on; what has not changed since the last one is not read again. */
export class Snapshots {
  private readonly known: Known = new Map();

  constructor(
    private readonly directory: string,
    private readonly trial: string,
    private readonly store: Store,
    /** As the sweep names them: places on this machine mean nothing elsewhere. */
    private readonly places: RunPlaces,
  ) {}

  /**
   * Puts the run's files into the store, all as they are at one moment.
   * @param isWhole whether the run has ended: its report is part of it then
   */
  async take(isWhole: boolean): Promise<Snapshot> {
    for (let left = TRIES; ; left--) {
      const before = await this.list(isWhole);
      const files = await this.putAll(before).catch((error: unknown) => {
        if (left > 1 && isMissing(error)) return undefined;
        throw error;
      });
      const isSame = JSON.stringify(await this.list(isWhole)) === JSON.stringify(before);
      // Each file is whole; a run that is killed leaves no other mixture, and goes on from it.
      if (files !== undefined && (isSame || left <= 1)) return this.putManifest(files);
    }
  }

  /** What tells one state of the run from another. */
  async state(): Promise<string> {
    return JSON.stringify((await this.list(false)).map(({ name, state }) => [name, state]));
  }

  private async putManifest(files: Manifest["files"]): Promise<Snapshot> {
    const manifest = await this.store.put(JSON.stringify({ format: 1, files }), this.trial);
    return { manifest, objects: new Set([manifest, ...files.map(({ sha256 }) => sha256)]) };
  }

  private async putAll(listed: readonly Listed[]): Promise<Manifest["files"]> {
    const files = [];
    for (const each of listed) files.push({ name: each.name, sha256: (await this.put(each)).sha256 });
    return files;
  }

  private async put({ name, file, state }: Listed): Promise<StoredFile> {
    const before = this.known.get(name);
    if (before?.state === state) return before.stored;
    const stored =
      name === CONFIG
        ? await this.putText(withPlaces(await readFile(file, "utf8"), this.places))
        : await this.store.putFile(file, this.trial);
    this.known.set(name, { state, stored });
    return stored;
  }

  private async putText(text: string): Promise<StoredFile> {
    return { sha256: await this.store.put(text, this.trial), bytes: text.length };
  }

  private async list(isWhole: boolean): Promise<readonly Listed[]> {
    const listed: Listed[] = [];
    for (const folder of ["", ...FOLDERS]) {
      const place = path.join(this.directory, folder);
      for (const entry of (await readdir(place).catch(() => [])).sort()) {
        const name = folder === "" ? entry : `${folder}/${entry}`;
        if (!runFileSchema.safeParse(name).success || isLockFile(entry)) continue;
        if (entry === REPORT && !isWhole) continue;
        const file = path.join(place, entry);
        const stats = await stat(file).catch(() => undefined);
        if (stats?.isFile() !== true) continue;
        listed.push({ name, file, state: `${stats.ino} ${stats.size} ${stats.mtimeMs}` });
      }
    }
    return listed;
  }
}

function isMissing(error: unknown): boolean {
  const found = error instanceof PenniError ? error.cause : error;
  return found instanceof Error && "code" in found && found.code === "ENOENT";
}

/** A run's configuration with its files elsewhere. */
function withPlaces(text: string, places: RunPlaces): string {
  const config: unknown = JSON.parse(text);
  if (typeof config !== "object" || config === null) return text;
  return `${JSON.stringify({ ...config, ...places }, null, 2)}\n`;
}

/**
 * Makes a run's directory from the store, whole or not at all; one that is there is replaced.
 * @param places where the run's files are on this machine
 */
export async function restore(
  manifest: string,
  trial: string,
  store: Store,
  directory: string,
  places: RunPlaces,
): Promise<void> {
  const files = await filesOf(manifest, trial, store);
  const draft = `${directory}.new-${process.pid}`;
  try {
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true });
    for (const folder of FOLDERS) await mkdir(path.join(draft, folder));
    for (const [name, sha256] of files) {
      const file = path.join(draft, ...name.split("/"));
      await mkdir(path.dirname(file), { recursive: true });
      await store.fetch(sha256, file, trial);
    }
    if (files.has(CONFIG)) await placeConfig(path.join(draft, CONFIG), places);
    await rm(directory, { recursive: true, force: true });
    await rename(draft, directory);
  } catch (error) {
    await rm(draft, { recursive: true, force: true }).catch(() => undefined);
    throw ioError(directory, "cannot write the files of the run", error);
  }
}

async function placeConfig(file: string, places: RunPlaces): Promise<void> {
  const text = withPlaces(await readFile(file, "utf8"), places);
  await rm(file);
  await writeFile(file, text);
}

async function filesOf(manifest: string, trial: string, store: Store): Promise<ReadonlyMap<string, string>> {
  const checked = manifestSchema.safeParse(parsedJson(await store.read(manifest, trial)));
  if (!checked.success)
    throw new PenniError("bad-file", "refused a list of files that is none of a run", {
      found: describeIssues(checked.error),
    });
  return new Map(checked.data.files.map(({ name, sha256 }) => [name, sha256]));
}

/** One file of a run in the store. @throws PenniError "internal" if it has no such file */
export async function readRunFile(
  manifest: string,
  trial: string,
  store: Store,
  name: string,
): Promise<Uint8Array> {
  return store.read(entryOf(await filesOf(manifest, trial, store), name), trial);
}
