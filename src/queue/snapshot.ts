import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { ioError } from "../files/atomic.js";
import { PenniError } from "../graph/errors.js";
import { isLockFile } from "../run/lock.js";
import type { RunPlaces } from "./document.js";
import { heldContent, LARGEST_HELD, type Manifest, type ManifestEntry, MOST_HELD } from "./manifest.js";
import { runFileSchema } from "./names.js";
import { errnoOf } from "./plain_files.js";
import type { Store } from "./store.js";

const CONFIG = "config.json";
const FOLDERS = ["checkpoints", "stages"] as const;
/** Made again from the rest whenever the run goes on. */
const REPORT = "report.html";
const TRIES = 3;

interface Listed {
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
  /** Changes with every change of the file. */
  readonly state: string;
}

/** Takes snapshots of a run while it goes on; what has not changed since the last one is not read again. */
export class Snapshots {
  /** By name. */
  private readonly known = new Map<string, { readonly state: string; readonly entry: ManifestEntry }>();

  constructor(
    private readonly directory: string,
    private readonly trial: string,
    private readonly store: Store,
    /** As the sweep names them: places on this machine mean nothing elsewhere. */
    private readonly places: RunPlaces,
  ) {}

  /**
   * Puts the run's files into the store, all as they are at one moment.
   * @param hasEnded whether the run has ended: its report is part of it then, and nothing changes any more
   */
  async take(hasEnded: boolean): Promise<Manifest> {
    for (let left = TRIES; ; left--) {
      const before = this.list(hasEnded);
      const files = await this.putAll(before).catch((error: unknown) => {
        if (left > 1 && isMissing(error)) return undefined;
        throw error;
      });
      if (files === undefined) continue;
      const isSame = hasEnded || JSON.stringify(this.list(false)) === JSON.stringify(before);
      // Each file is whole; a run that is killed leaves no other mixture, and goes on from it.
      if (isSame || left <= 1) return { format: 1, files };
    }
  }

  /** What tells one state of the run from another. */
  state(): string {
    return JSON.stringify(this.list(false).map(({ name, state }) => [name, state]));
  }

  private async putAll(listed: readonly Listed[]): Promise<ManifestEntry[]> {
    const files: ManifestEntry[] = [];
    let held = 0;
    for (const each of listed) {
      const isHeld = each.bytes <= LARGEST_HELD && held + each.bytes <= MOST_HELD;
      if (isHeld) held += each.bytes;
      files.push(await this.put(each, isHeld));
    }
    return files;
  }

  private async put({ name, file, state }: Listed, isHeld: boolean): Promise<ManifestEntry> {
    const before = this.known.get(name);
    if (before?.state === state && (await this.isStill(before.entry))) return before.entry;
    const entry = await this.stored(name, file, isHeld);
    this.known.set(name, { state, entry });
    return entry;
  }

  /** Another worker that has the same trial may have removed it. */
  private async isStill(entry: ManifestEntry): Promise<boolean> {
    return "base64" in entry || (await this.store.has(entry.sha256, this.trial));
  }

  private async stored(name: string, file: string, isHeld: boolean): Promise<ManifestEntry> {
    if (name !== CONFIG && !isHeld)
      return { name, sha256: (await this.store.putFile(file, this.trial)).sha256 };
    const bytes = await readFile(file);
    const content = name === CONFIG ? Buffer.from(withPlaces(bytes.toString(), this.places)) : bytes;
    if (isHeld) return { name, base64: content.toString("base64") };
    return { name, sha256: await this.store.put(content, this.trial) };
  }

  /** All at once, so that little changes meanwhile: a run has a few files. */
  private list(hasEnded: boolean): readonly Listed[] {
    const listed: Listed[] = [];
    for (const folder of ["", ...FOLDERS]) {
      const place = path.join(this.directory, folder);
      for (const entry of (existsSync(place) ? readdirSync(place) : []).sort()) {
        const name = folder === "" ? entry : `${folder}/${entry}`;
        if (!runFileSchema.safeParse(name).success || isLockFile(entry)) continue;
        if (entry === REPORT && !hasEnded) continue;
        const file = path.join(place, entry);
        const stats = statSync(file, { throwIfNoEntry: false });
        if (stats?.isFile() !== true) continue;
        const { ino, size, mtimeMs } = stats;
        listed.push({ name, file, bytes: size, state: `${ino} ${size} ${mtimeMs}` });
      }
    }
    return listed;
  }
}

function isMissing(error: unknown): boolean {
  const found = error instanceof PenniError ? error.cause : error;
  return errnoOf(found) === "ENOENT";
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
  { files }: Manifest,
  trial: string,
  store: Store,
  directory: string,
  places: RunPlaces,
): Promise<void> {
  const draft = `${directory}.new-${process.pid}`;
  try {
    await makeEmpty(draft);
    // A list may name a file twice: the last one counts.
    const byName = new Map(files.map((file) => [file.name, file]));
    for (const folder of foldersOf(byName.keys())) await mkdir(path.join(draft, folder));
    for (const file of byName.values()) await restoreFile(file, trial, store, draft, places);
    await rm(directory, { recursive: true, force: true });
    await rename(draft, directory);
  } catch (error) {
    await rm(draft, { recursive: true, force: true }).catch(() => undefined);
    throw ioError(directory, "cannot write the files of the run", error);
  }
}

async function makeEmpty(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    // What a process of the same number left behind, or there is no folder for it yet.
    if (errnoOf(error) === "EEXIST") await rm(folder, { recursive: true });
    await mkdir(folder, { recursive: true });
  }
}

function foldersOf(names: Iterable<string>): ReadonlySet<string> {
  const folders = [...names].map((name) => path.posix.dirname(name)).filter((folder) => folder !== ".");
  return new Set([...FOLDERS, ...folders]);
}

async function restoreFile(
  entry: ManifestEntry,
  trial: string,
  store: Store,
  draft: string,
  places: RunPlaces,
): Promise<void> {
  const file = path.join(draft, ...entry.name.split("/"));
  if (entry.name === CONFIG) {
    const bytes = "sha256" in entry ? await store.read(entry.sha256, trial) : heldContent(entry.base64);
    await writeFile(file, withPlaces(new TextDecoder().decode(bytes), places), { flag: "wx" });
  } else if ("sha256" in entry) await store.fetch(entry.sha256, file, trial);
  else await writeFile(file, heldContent(entry.base64), { flag: "wx" });
}
