import { createHash } from "node:crypto";
import path from "node:path";
import { readModelAndSize } from "../files/model_files.js";
import { digestOf } from "../run/digests.js";

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

/** Digests of files, each read once; a model's is of all files that it is in. */
export class FileDigests {
  private readonly known = new Map<string, Promise<string>>();

  of(file: string): Promise<string> {
    const known = this.known.get(file);
    if (known !== undefined) return known;
    const made = file.endsWith(".onnx") ? digestOfModel(file) : digestOf(file);
    this.known.set(file, made);
    return made;
  }

  /** All that were asked for, by their paths. */
  async all(): Promise<Readonly<Record<string, string>>> {
    const entries = [...this.known].map(async ([file, digest]) => [file, await digest] as const);
    return Object.fromEntries(await Promise.all(entries));
  }
}

/** A model in one file has that file's own digest, as `sha256sum` says it. */
async function digestOfModel(file: string): Promise<string> {
  const { dataFiles } = await readModelAndSize(file);
  const files = [file, ...dataFiles.map((name) => path.join(path.dirname(file), name))];
  const digests: string[] = [];
  for (const one of files) digests.push(await digestOf(one));
  const [only] = digests;
  return digests.length === 1 && only !== undefined ? only : sha256(digests.join("\n"));
}

/** Settings that say how often something is written, not what comes out. */
const undecided: ReadonlySet<string> = new Set(["checkpointSeconds"]);

/** The id of a trial: see `Trial.id`. @param settings with absolute paths */
export async function trialId(
  settings: Readonly<Record<string, unknown>>,
  digests: FileDigests,
): Promise<string> {
  const decided: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(settings)) {
    if (undecided.has(name)) continue;
    const file = fileOf(name, value);
    decided[name] = file === undefined ? value : { sha256: await digests.of(file) };
  }
  return sha256(canonicalJson({ command: "compress", settings: decided }));
}
