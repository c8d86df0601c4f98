import { createHash, type Hash } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import path from "node:path";
import { draftFile, type FileDraft, ioError } from "../files/atomic.js";
import { PenniError } from "../graph/errors.js";
import {
  type Checkpoint,
  type CheckpointBytes,
  checkIdentity,
  checkpointParts,
  openCheckpoint,
  type StageIdentity,
  type StoredCheckpoint,
} from "./checkpoint.js";
import type { TrainingPlan } from "./plan.js";

/**
 * The checkpoints of a training stage: the latest in `file`, and the one before it beside it, in case the
 * latest gets damaged.
 */
export class CheckpointStore {
  readonly previous: string;

  constructor(
    readonly file: string,
    private readonly identity: StageIdentity,
    /** Told when the latest checkpoint cannot be used. */
    private readonly notice: (text: string) => void,
  ) {
    const { dir, name, ext } = path.parse(file);
    this.previous = path.join(dir, `${name}.previous${ext}`);
  }

  /** Writes the latest checkpoint; it shows up whole or not at all. @throws PenniError "io" */
  async write(checkpoint: Omit<Checkpoint, "identity">): Promise<void> {
    await (await this.draft(checkpoint)).keep();
  }

  /** Writes what becomes the latest checkpoint when it is kept. Its tensors are not copied. @throws PenniError "io" */
  draft(checkpoint: Omit<Checkpoint, "identity">): Promise<FileDraft> {
    const parts = checkpointParts({ ...checkpoint, identity: this.identity });
    return draftFile(this.file, parts, this.previous);
  }

  /**
   * The latest checkpoint that is whole; undefined if there is none at all. Its tensors are to be read before the next one
   * is written.
   * @throws PenniError "bad-file" if all there are are damaged, or if one belongs to another model, to other
   *   options or to another version of Penni
   */
  async read(): Promise<StoredCheckpoint | undefined> {
    const latest = await this.load(new CheckpointFile(this.file));
    if (latest !== undefined && latest !== "damaged") return latest;
    const file = new CheckpointFile(this.previous);
    const before = await this.load(file);
    if (latest === undefined && before === undefined) return undefined;
    if (before === undefined || before === "damaged") throw this.damaged(before !== undefined);
    if (latest === "damaged") {
      this.notice(`${this.file} is damaged: going on from the checkpoint before it, at step ${before.step}`);
    }
    // So that the next checkpoint is not written over the only one that is whole.
    await file.moveTo(this.file);
    return before;
  }

  private async load(file: CheckpointFile): Promise<StoredCheckpoint | "damaged" | undefined> {
    const { path: place } = file;
    if (!existsSync(place)) return undefined;
    const checkpoint = await openCheckpoint(file, place);
    if (checkpoint !== "damaged") checkIdentity(checkpoint, this.identity, place);
    return checkpoint;
  }

  private damaged(isBoth: boolean): PenniError {
    const [file, advice] = isBoth
      ? [`${this.file} and ${this.previous}`, "Delete both to start the stage again"]
      : [this.file, "Delete it to start the stage again"];
    return new PenniError("bad-file", "damaged checkpoint: no part of it can be trusted", { file, advice });
  }
}

/** A file of a checkpoint, of which no more is in memory than is asked for. */
class CheckpointFile implements CheckpointBytes {
  constructor(private place: string) {}

  get path(): string {
    return this.place;
  }

  get size(): number {
    try {
      return statSync(this.place).size;
    } catch (error) {
      throw ioError(this.place, CANNOT_READ, error);
    }
  }

  async read(into: Uint8Array, offset: number): Promise<void> {
    try {
      const handle = await open(this.place);
      try {
        await readFully(handle, into, offset);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw ioError(this.place, CANNOT_READ, error);
    }
  }

  async moveTo(place: string): Promise<void> {
    try {
      await rename(this.place, place);
    } catch (error) {
      throw ioError(place, "cannot put back the checkpoint", error);
    }
    this.place = place;
  }
}

const CANNOT_READ = "cannot read a file of the run";

async function readFully(handle: FileHandle, into: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < into.byteLength; ) {
    const { bytesRead } = await handle.read(into, done, into.byteLength - done, offset + done);
    if (bytesRead === 0) throw new PenniError("io", "the file became shorter");
    done += bytesRead;
  }
}

/** What determines the outcome of a stage: the plan without places and pace, and the bytes of its networks. */
export async function stageIdentity(plan: TrainingPlan): Promise<StageIdentity> {
  const {
    network,
    teacher,
    result: _result,
    checkpoint: _checkpoint,
    checkpointSeconds: _pace,
    device: _place,
    ...rest
  } = plan;
  const hash = createHash("sha256");
  for (const file of [network, teacher]) if (file !== undefined) await addFile(hash, file);
  const options = Object.entries(rest).map(([name, value]) => [name, JSON.stringify(value)]);
  return { networks: hash.digest("hex"), options: Object.fromEntries(options) };
}

async function addFile(hash: Hash, file: string): Promise<void> {
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk);
  } catch (error) {
    throw ioError(file, CANNOT_READ, error);
  }
}
