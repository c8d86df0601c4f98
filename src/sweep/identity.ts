import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import path from "node:path";
import { readModelAndSize } from "../files/model_files.js";
import { digestOf } from "../run/digests.js";
import { dataFingerprint } from "./data_fingerprint.js";
import { resultVersions } from "./provenance.js";

/** The same text for the same value, whatever the order of its keys. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(",")}}`;
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Settings whose value is a file; the bytes of the file decide, not where it lies. */
export function fileOf(name: string, value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  if (name === "model" || name === "classes") return value;
  return name === "teacher" && value.endsWith(".onnx") ? value : undefined;
}

/** What trials are made of besides settings, as it was when the sweep was started. */
export interface SweepInputs {
  /** SHA-256 of the files that settings name, by their paths. */
  readonly files: Readonly<Record<string, string>>;
  /** Digests of images that are files (`dataFingerprint`), by their specifications. */
  readonly images: Readonly<Record<string, string>>;
}

/** Digests of files and images, each read once; a model's is of all files that it is in. */
export class InputDigests {
  private readonly files = new Map<string, Promise<string>>();
  private readonly images = new Map<string, Promise<string | undefined>>();

  ofFile(file: string): Promise<string> {
    const known = this.files.get(file);
    if (known !== undefined) return known;
    const made = digestOfInput(file);
    this.files.set(file, made);
    return made;
  }

  /** Undefined for images that are computed. */
  ofImages(spec: string): Promise<string | undefined> {
    const known = this.images.get(spec);
    if (known !== undefined) return known;
    const made = dataFingerprint(spec);
    this.images.set(spec, made);
    return made;
  }

  /** All that were asked for. */
  async all(): Promise<SweepInputs> {
    return { files: await settled(this.files), images: await settled(this.images) };
  }
}

async function settled(
  known: ReadonlyMap<string, Promise<string | undefined>>,
): Promise<Readonly<Record<string, string>>> {
  const entries: (readonly [string, string])[] = [];
  for (const [name, made] of known) {
    const digest = await made;
    if (digest !== undefined) entries.push([name, digest]);
  }
  return Object.fromEntries(entries);
}

async function digestOfInput(file: string): Promise<string> {
  return digestOfFiles(await filesOf(file));
}

/** The files that one is in: of a model those of its external data, too. */
async function filesOf(file: string): Promise<readonly string[]> {
  if (!file.endsWith(".onnx")) return [file];
  const { dataFiles } = await readModelAndSize(file);
  return [file, ...dataFiles.map((name) => path.join(path.dirname(file), name))];
}

/** What is in one file has that file's own digest, as `sha256sum` says it. */
async function digestOfFiles(files: readonly string[]): Promise<string> {
  const digests: string[] = [];
  for (const one of files) digests.push(await digestOf(one));
  const [only] = digests;
  return digests.length === 1 && only !== undefined ? only : sha256(digests.join("\n"));
}

/** The files that settings name: one that the system says nothing new of is not read again. */
export class InputFiles {
  private readonly seen = new Map<string, { readonly files: readonly string[]; readonly state: string }>();

  constructor(private readonly expected: SweepInputs["files"]) {}

  /**
   * A file that is another one now, and its digest.
   * @param mayMiss passes over files that are gone
   * @throws PenniError "io" if one cannot be read
   */
  async findChanged(
    mayMiss: boolean,
  ): Promise<{ readonly file: string; readonly digest: string } | undefined> {
    for (const [file, expected] of Object.entries(this.expected)) {
      const before = this.seen.get(file);
      if (before !== undefined && (await stateOf(before.files)) === before.state) continue;
      if (mayMiss && (await stateOf([file])) === undefined) continue;
      const files = await filesOf(file);
      // Before they are read: what changes meanwhile is found the next time.
      const state = await stateOf(files);
      const digest = await digestOfFiles(files);
      if (digest !== expected) return { file, digest };
      if (state !== undefined) this.seen.set(file, { files, state });
    }
    return undefined;
  }
}

/** Changes with every change of the files; undefined where one is not there. */
async function stateOf(files: readonly string[]): Promise<string | undefined> {
  const states: string[] = [];
  for (const file of files) {
    const stats = await stat(file).catch(() => undefined);
    if (stats === undefined) return undefined;
    states.push(`${stats.ino} ${stats.size} ${stats.mtimeMs} ${stats.ctimeMs}`);
  }
  return states.join();
}

/** Settings that say how often something is written, not what comes out. */
const undecided: ReadonlySet<string> = new Set(["checkpointSeconds"]);

/**
 * The id of a trial: see `Trial.id`. Versions are part of it, so that what another one has come to, in a store that many
 * sweeps share, is not taken for this one's.
 * @param settings with absolute paths
 */
export async function trialId(
  settings: Readonly<Record<string, unknown>>,
  digests: InputDigests,
  versions = resultVersions(),
): Promise<string> {
  const decided: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(settings)) {
    if (undecided.has(name)) continue;
    const file = fileOf(name, value);
    decided[name] = file === undefined ? value : { sha256: await digests.ofFile(file) };
  }
  const { data } = settings;
  const images = typeof data === "string" ? await digests.ofImages(data) : undefined;
  return sha256(canonicalJson({ command: "compress", settings: decided, images, versions }));
}
