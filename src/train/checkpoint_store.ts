import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rename } from "node:fs/promises";
import path from "node:path";
import { ioError, writeFileAtomic } from "../files/atomic.js";
import { PenniError } from "../graph/errors.js";
import {
  type Checkpoint,
  checkIdentity,
  decodeCheckpoint,
  encodeCheckpoint,
  type StageIdentity,
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
    const bytes = encodeCheckpoint({ ...checkpoint, identity: this.identity });
    await writeFileAtomic(this.file, bytes, this.previous);
  }

  /**
   * The latest checkpoint that is whole; undefined if there is none at all.
   * @throws PenniError "bad-file" if all there are are damaged, or if one belongs to another model, to other
   *   options or to another version of Penni
   */
  async read(): Promise<Checkpoint | undefined> {
    const latest = await this.load(this.file);
    if (latest !== undefined && latest !== "damaged") return latest;
    const before = await this.load(this.previous);
    if (latest === undefined && before === undefined) return undefined;
    if (before === undefined || before === "damaged") throw this.damaged(before !== undefined);
    if (latest === "damaged") {
      this.notice(`${this.file} is damaged: going on from the checkpoint before it, at step ${before.step}`);
    }
    await this.putBack();
    return before;
  }

  private async load(file: string): Promise<Checkpoint | "damaged" | undefined> {
    if (!existsSync(file)) return undefined;
    const checkpoint = decodeCheckpoint(await readBytes(file), file);
    if (checkpoint !== "damaged") checkIdentity(checkpoint, this.identity, file);
    return checkpoint;
  }

  /** So that the next checkpoint is not written over the only one that is whole. */
  private async putBack(): Promise<void> {
    try {
      await rename(this.previous, this.file);
    } catch (error) {
      throw ioError(this.file, "cannot put back the checkpoint", error);
    }
  }

  private damaged(isBoth: boolean): PenniError {
    const [file, advice] = isBoth
      ? [`${this.file} and ${this.previous}`, "Delete both to start the stage again"]
      : [this.file, "Delete it to start the stage again"];
    return new PenniError("bad-file", "damaged checkpoint: no part of it can be trusted", { file, advice });
  }
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw ioError(file, "cannot read a file of the run", error);
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
  for (const file of [network, teacher]) if (file !== undefined) hash.update(await readBytes(file));
  const options = Object.entries(rest).map(([name, value]) => [name, JSON.stringify(value)]);
  return { networks: hash.digest("hex"), options: Object.fromEntries(options) };
}
