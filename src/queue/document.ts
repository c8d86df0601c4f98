import { mkdirSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { placedSpec } from "../data/spec.js";
import { ioError } from "../files/atomic.js";
import { readModelAndSize } from "../files/model_files.js";
import { at, orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { parseJson } from "../run/texts.js";
import { dataFingerprint } from "../sweep/data_fingerprint.js";
import type { Trial } from "../sweep/trial.js";
import { checkData, type DataMap, localSpec } from "./local_data.js";
import { describeIssues, digestSchema, isPathBelow, pathBelowSchema } from "./names.js";
import type { Store } from "./store.js";

const storedFileSchema = z.strictObject({ name: pathBelowSchema, sha256: digestSchema });

/** Files of one folder, the one that is meant first; `place` is what the sweep named, and nothing is read there. */
const inputSchema = z.strictObject({
  place: z.string().min(1).max(4096),
  files: z.array(storedFileSchema).min(1).max(10_000),
});

const value = z.union([z.string(), z.number(), z.boolean()]);
const settingSchema = z.union([
  value,
  z.array(value),
  z.record(z.string(), z.union([value, z.array(value)])),
]);

/** Everything that a trial's result depends on, with digests in place of files. */
export const documentSchema = z.strictObject({
  format: z.literal(1),
  trial: digestSchema,
  model: inputSchema,
  teacher: inputSchema.optional(),
  classes: inputSchema.optional(),
  data: z.strictObject({ spec: z.string().min(1).max(4096), fingerprint: digestSchema.nullable() }),
  /** Settings of `penni compress` but for those above. */
  settings: z.record(z.string().max(100), settingSchema),
});

export type TrialDocument = z.infer<typeof documentSchema>;
type Input = z.infer<typeof inputSchema>;

/** Settings that name files; what a document has in their place is put back by whoever runs the trial. */
const inputNames = ["model", "teacher", "classes"] as const;

/** An input in the store, and the files that it was read from, the one that is meant first. */
interface Published {
  readonly sources: readonly string[];
  readonly state: string;
  readonly input: Input;
}

/** The files of trials in a store, most of which have the same ones: what has not changed is not read again. */
export class Publisher {
  private readonly known = new Map<string, Published>();

  constructor(private readonly store: Store) {}

  /** Puts all of a trial into the store. @returns the digest of its document */
  async publish(trial: Trial): Promise<string> {
    const { model, data, teacher, classes, ...settings } = trial.settings;
    const spec = textOf("data", data);
    const document = documentSchema.safeParse({
      format: 1,
      trial: trial.id,
      model: await this.model(textOf("model", model)),
      ...(isFile(teacher) ? { teacher: await this.model(teacher) } : {}),
      ...(classes === undefined ? {} : { classes: await this.stored(textOf("classes", classes), []) }),
      data: { spec, fingerprint: orDefault<string | null>(await dataFingerprint(spec), null) },
      settings: teacher === undefined || isFile(teacher) ? settings : { ...settings, teacher },
    });
    if (document.success) return this.store.put(JSON.stringify(document.data));
    throw new PenniError("bad-option", "the settings of the trial cannot be sent", {
      found: describeIssues(document.error),
    });
  }

  /** Reads everything again: a worker may have found something damaged. */
  forget(): void {
    this.known.clear();
  }

  private async model(file: string): Promise<Input> {
    const known = this.known.get(file);
    if (known !== undefined && (await this.isStill(known))) return known.input;
    const { dataFiles } = await readModelAndSize(file);
    return this.stored(
      file,
      dataFiles.map((name) => name.split(path.sep).join("/")),
    );
  }

  /** @param others files that belong to it, from its folder */
  private async stored(place: string, others: readonly string[]): Promise<Input> {
    const sources = [place, ...others.map((name) => path.join(path.dirname(place), name))];
    // Before they are read: what changes meanwhile is read again for the next trial.
    const state = await stateOf(sources);
    const files = [];
    for (const [index, name] of [sentName(path.basename(place)), ...others].entries()) {
      const { sha256 } = await this.store.putFile(at(sources, index));
      files.push({ name, sha256 });
    }
    const input = { place, files };
    this.known.set(place, { sources, state, input });
    return input;
  }

  private async isStill({ sources, state, input }: Published): Promise<boolean> {
    const isThere = await Promise.all(input.files.map(({ sha256 }) => this.store.has(sha256)));
    return !isThere.includes(false) && state === (await stateOf(sources));
  }
}

/** What a file is called on its way: nobody needs the name of a model, and not every system takes each. */
function sentName(name: string): string {
  if (isPathBelow(name)) return name;
  const ending = path.extname(name);
  return isPathBelow(ending) ? `input${ending}` : "input";
}

/** Changes with every change of the files. */
async function stateOf(sources: readonly string[]): Promise<string> {
  const states = sources.map(async (file) => {
    const { ino, size, mtimeMs } = await stat(file).catch((error: unknown) => {
      throw ioError(file, "cannot read the file", error);
    });
    return `${ino} ${size} ${mtimeMs}`;
  });
  return (await Promise.all(states)).join();
}

function textOf(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new PenniError("bad-option", `a trial needs the setting ${name}`, { found: typeof value });
}

/** The others are names: original, recovered. */
const isFile = (teacher: unknown): teacher is string =>
  typeof teacher === "string" && teacher.endsWith(".onnx");

/** @throws PenniError "bad-file" if the store has something else under the digest, or another trial's document */
export async function readDocument(sha256: string, trial: string, store: Store): Promise<TrialDocument> {
  const document = documentSchema.safeParse(parsedJson(await store.read(sha256)));
  if (!document.success)
    throw new PenniError("bad-file", "refused a trial whose document is none of Penni's", {
      found: describeIssues(document.error),
    });
  if (document.data.trial !== trial)
    throw new PenniError("bad-file", "refused a trial with the document of another", {
      expected: trial,
      found: document.data.trial,
    });
  return document.data;
}

export function parsedJson(bytes: Uint8Array): unknown {
  return parseJson(new TextDecoder().decode(bytes));
}

/** Throws on settings that `penni compress` does not have, or that a trial may not set. */
export type SettingsCheck = (settings: Readonly<Record<string, unknown>>) => void;

/** What a worker's machine adds to a trial. */
export interface LocalPlaces {
  readonly maps: readonly DataMap[];
  readonly check: SettingsCheck;
  /** Threads of the runtime where the trial does not say. */
  readonly threads: number;
}

/** Where a trial's files are, as the sweep names them or as they are on one machine; as in a run's `config.json`. */
export interface RunPlaces {
  readonly model: string;
  readonly teacher?: string;
  readonly data: string;
}

export function placesOf({ model, teacher, data }: TrialDocument): RunPlaces {
  return {
    model: model.place,
    ...(teacher === undefined ? {} : { teacher: teacher.place }),
    data: data.spec,
  };
}

/**
 * Checks a trial, and that this machine has its images, and writes its files and its configuration into a folder.
 * @returns the configuration's file
 */
export async function unpack(
  document: TrialDocument,
  folder: string,
  store: Store,
  local: LocalPlaces,
): Promise<string> {
  const data = await localData(document, local);
  const settings: Record<string, unknown> = { threads: local.threads, ...document.settings, data };
  local.check(document.settings);
  try {
    mkdirSync(folder, { recursive: true });
    for (const name of inputNames) {
      const input = document[name];
      if (input === undefined) continue;
      settings[name] = await unpackInput(input, path.join(folder, name), store);
    }
    const file = path.join(folder, "trial.json");
    writeFileSync(file, JSON.stringify({ compress: settings }), { flag: "wx" });
    return file;
  } catch (error) {
    throw ioError(folder, "cannot write the files of the trial", error);
  }
}

async function unpackInput({ files }: Input, folder: string, store: Store): Promise<string> {
  for (const { name, sha256 } of files) {
    const file = path.join(folder, ...name.split("/"));
    mkdirSync(path.dirname(file), { recursive: true });
    await store.fetch(sha256, file);
  }
  return path.join(folder, at(files, 0).name);
}

/** The images as this machine has them. @throws PenniError "bad-file" of a place that is none, "bad-data" of others */
export async function localData({ data }: TrialDocument, { maps }: LocalPlaces): Promise<string> {
  const placed = placedSpec(data.spec);
  const isPlain =
    placed === undefined ||
    (path.isAbsolute(placed.place) &&
      path.normalize(placed.place) === placed.place &&
      !/[\0\n]/.test(data.spec));
  if (!isPlain)
    throw new PenniError("bad-file", "refused a trial whose images have no absolute path", {
      found: data.spec,
    });
  const spec = localSpec(data.spec, maps);
  await checkData(spec, data.fingerprint);
  return spec;
}
