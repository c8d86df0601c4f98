import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { ioError, writeFileAtomic } from "../files/atomic.js";
import { checkDirectoryPath, makeDirectory } from "../files/directories.js";
import { PenniError } from "../graph/errors.js";
import { checkEmpty } from "../run/config_file.js";
import { RunLock } from "../run/lock.js";
import { versions } from "../run/provenance.js";
import { parseJson, readText } from "../run/texts.js";
import { dataFingerprint } from "./data_fingerprint.js";
import { InputFiles, type SweepInputs } from "./identity.js";
import { Journal, type SweepEvent, sweepEventSchema } from "./journal.js";
import { type SweepSpec, sweepSpecSchema } from "./spec.js";
import { applyEvent, type SweepState, stateOf, type TrialState } from "./state.js";
import type { Trial } from "./trial.js";

export const SWEEP = "sweep.json";
export const JOURNAL = "trials.jsonl";
export const TRIALS = "trials";

const FORMAT = 1;

export const frozenSchema = z.strictObject({
  format: z.literal(FORMAT),
  spec: sweepSpecSchema,
  /** SHA-256 of the files that settings name. */
  files: z.record(z.string(), z.string()),
  /** Digests of images that are files, by their specifications. */
  images: z.record(z.string(), z.string()).default({}),
  versions: z.object({ penni: z.string(), node: z.string(), onnxruntime: z.string() }),
});

/** `sweep.json`: what the sweep is, from its start to its end. */
export type FrozenSweep = z.infer<typeof frozenSchema>;

/** Whether a directory holds a sweep. */
export function isSweep(root: string): boolean {
  return existsSync(path.join(root, SWEEP));
}

/** The runs of trials are in directories of their own numbers. */
export function trialName(number: number): string {
  return String(number).padStart(3, "0");
}

export function trialDirectory(root: string, number: number): string {
  return path.join(root, TRIALS, trialName(number));
}

/** What is read of a sweep without working in it. */
export interface SweepRecord {
  readonly root: string;
  readonly frozen: FrozenSweep;
  readonly state: SweepState;
}

/** @throws PenniError "bad-file" if there is no sweep, or it cannot be read */
export async function readSweep(root: string): Promise<SweepRecord> {
  const file = path.join(root, SWEEP);
  if (!existsSync(file)) {
    throw new PenniError("bad-file", "there is no sweep in this directory", {
      file: root,
      expected: `a directory with ${SWEEP}`,
      advice: "Start one with: penni sweep FILE -o DIR",
    });
  }
  const content = parseJson(await readText(file));
  const frozen = frozenSchema.safeParse(content);
  if (!frozen.success) {
    throw new PenniError("bad-file", "the sweep's description cannot be read", {
      file,
      found: content === undefined ? "no JSON: it may be cut off" : faults(content, frozen.error),
      advice: "Put the file back as it was, or start a new sweep",
    });
  }
  return { root, frozen: frozen.data, state: stateOf(await Journal.read(path.join(root, JOURNAL))) };
}

/** Of another format nothing else is expected to fit. */
function faults(content: unknown, error: z.ZodError): string {
  const { data } = z.looseObject({ format: z.number() }).safeParse(content);
  return data === undefined || data.format === FORMAT
    ? z.prettifyError(error)
    : `format ${data.format}, which is that of another version of Penni`;
}

/**
 * A sweep's directory, locked: `sweep.json`, `trials.jsonl` and the trials' runs in `trials/`. It is the truth: whoever
 * opens it after a kill goes on from what is there.
 */
export class SweepDirectory {
  private constructor(
    readonly root: string,
    readonly frozen: FrozenSweep,
    private readonly known: TrialState[],
    private readonly journal: Journal,
    private readonly lock: RunLock,
    private readonly inputs: InputFiles,
  ) {}

  /** @throws PenniError as `checkDirectoryPath`; "io" also if the directory holds anything, or a process works in it */
  static async checkFree(root: string): Promise<void> {
    checkDirectoryPath(root);
    if (!existsSync(root)) return;
    await RunLock.checkFree(root);
    if (isSweep(root)) {
      throw new PenniError("io", "there is a sweep in this directory already", {
        file: root,
        advice: `Go on with it: penni sweep --resume ${root}`,
      });
    }
    await checkEmpty(root);
  }

  /**
   * Starts a sweep.
   * @param inputs digests of the files and images that its settings name
   * @throws PenniError "io" as `checkFree`, or if it cannot be written
   */
  static async create(root: string, spec: SweepSpec, inputs: SweepInputs): Promise<SweepDirectory> {
    await SweepDirectory.checkFree(root);
    try {
      if (!existsSync(root)) await makeDirectory(path.resolve(root));
    } catch (error) {
      throw ioError(root, "cannot create the sweep's directory", error);
    }
    const lock = await RunLock.acquire(root);
    try {
      const frozen: FrozenSweep = {
        format: FORMAT,
        spec,
        files: { ...inputs.files },
        images: { ...inputs.images },
        versions: versions(),
      };
      await writeFileAtomic(path.join(root, SWEEP), `${JSON.stringify(frozen, null, 2)}\n`);
      return await SweepDirectory.opened({ root, frozen, state: [] }, lock, new InputFiles(frozen.files));
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /**
   * Goes on with a sweep.
   * @throws PenniError "bad-file" if there is none, or its files or images have changed; "io" if a process works in it
   */
  static async open(root: string): Promise<SweepDirectory> {
    await readSweep(root);
    const lock = await RunLock.acquire(root);
    try {
      const record = await readSweep(root);
      const inputs = new InputFiles(record.frozen.files);
      await checkFiles(record, inputs, false);
      await checkImages(record);
      return await SweepDirectory.opened(record, lock, inputs);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  private static async opened(
    record: SweepRecord,
    lock: RunLock,
    inputs: InputFiles,
  ): Promise<SweepDirectory> {
    const { root, frozen, state } = record;
    const trials = path.join(root, TRIALS);
    try {
      if (!existsSync(trials)) await mkdir(trials);
      await removeDrafts(trials);
    } catch (error) {
      throw ioError(trials, "cannot create the directory", error);
    }
    const journal = await Journal.open(path.join(root, JOURNAL));
    return new SweepDirectory(root, frozen, [...state], journal, lock, inputs);
  }

  /** As it is at every moment: what changes are its elements. */
  get state(): SweepState {
    return this.known;
  }

  get spec(): SweepSpec {
    return this.frozen.spec;
  }

  /**
   * Finds out whether trials to come would be of the same files as those before; what is gone is for them to say.
   * @throws PenniError "bad-file" naming one that has changed since the sweep was started
   */
  checkFiles(): Promise<void> {
    return checkFiles(this, this.inputs, true);
  }

  /**
   * Notes what has happened. It is on the disk after `flush`.
   * @throws PenniError "internal" for what could not be read again
   */
  record(event: SweepEvent): void {
    const { error } = sweepEventSchema.safeParse(event);
    if (error !== undefined) {
      const found = z.prettifyError(error);
      throw new PenniError("internal", `trial ${event.number} came to something that no trial comes to`, {
        found,
      });
    }
    applyEvent(this.known, event);
    this.journal.append(event);
  }

  /** @throws PenniError "io" */
  flush(): Promise<void> {
    return this.journal.flush();
  }

  trialDirectory({ number }: Pick<Trial, "number">): string {
    return trialDirectory(this.root, number);
  }

  async write(name: string, text: string): Promise<void> {
    await writeFileAtomic(path.join(this.root, name), text);
  }

  async close(): Promise<void> {
    await this.journal.close();
    await this.lock.release();
  }
}

/** Of runs that were killed while their directories were made. */
async function removeDrafts(trials: string): Promise<void> {
  for (const name of await readdir(trials))
    if (DRAFT.test(name)) await rm(path.join(trials, name), { recursive: true, force: true });
}

const DRAFT = /^\d+\.new-[0-9a-f]+$/;

/** @param mayMiss whether it is all right if a file is gone */
async function checkFiles(
  { root, frozen }: Pick<SweepRecord, "root" | "frozen">,
  inputs: InputFiles,
  mayMiss: boolean,
): Promise<void> {
  const found = await inputs.findChanged(mayMiss);
  if (found === undefined) return;
  const { file, digest } = found;
  throw new PenniError("bad-file", "this file has changed since the sweep was started", {
    file,
    expected: `SHA-256 ${frozen.files[file]}, as ${path.join(root, SWEEP)} says`,
    found: digest,
    advice: "Put the file back, or start a new sweep",
  });
}

/** Read once, as there may be many: what changes later is found when the sweep goes on, and by each worker. */
async function checkImages({ root, frozen }: SweepRecord): Promise<void> {
  for (const [spec, expected] of Object.entries(frozen.images)) {
    const found = await dataFingerprint(spec);
    if (found === expected) continue;
    throw new PenniError("bad-file", "these images have changed since the sweep was started", {
      file: spec,
      expected: `files with the digest ${expected}, as ${path.join(root, SWEEP)} says`,
      found: `${found}`,
      advice: "Put them back as they were, or start a new sweep",
    });
  }
}
