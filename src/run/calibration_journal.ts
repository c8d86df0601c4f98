import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { deserialize, serialize } from "node:v8";
import type { ZodType } from "zod";
import { ioError, writeFileAtomic } from "../files/atomic.js";
import type { CalibrationJournal } from "../method/calibrate/journal.js";
import type { RunDirectory } from "./directory.js";

/** Another one whenever what calibration keeps, or how it finds it, has changed. */
const FORMAT = "PENNI-CALIBRATION-4\n";
const PREFIX = "calibration-";
const DIGEST_BYTES = 32;

/**
 * A calibration's journal in a run's directory, one file for each key: a digest, then the value. A file that is
 * damaged, or belongs to another model or other settings, counts as none, and what it held is computed again.
 */
export class RunCalibrationJournal implements CalibrationJournal {
  private constructor(
    private readonly folder: string,
    /** Of all that decides what calibration finds. */
    private readonly identity: Uint8Array,
  ) {}

  /** @param network the file of the network that is calibrated */
  static async open(run: RunDirectory, network: string): Promise<RunCalibrationJournal> {
    const identity = createHash("sha256").update(FORMAT);
    for (const file of [run.path("config.json"), network]) identity.update(await readBytes(file));
    return new RunCalibrationJournal(run.path("checkpoints"), identity.digest());
  }

  async read<Value>(key: string, schema: ZodType<Value>): Promise<Value | undefined> {
    const file = this.fileOf(key);
    if (!existsSync(file)) return undefined;
    const bytes = await readBytes(file);
    const content = bytes.subarray(DIGEST_BYTES);
    if (!this.digestOf(content).equals(bytes.subarray(0, DIGEST_BYTES))) return undefined;
    return schema.safeParse(deserialize(content)).data;
  }

  /** @throws PenniError "io" naming the file */
  async write(key: string, value: unknown): Promise<void> {
    const content = serialize(value);
    await writeFileAtomic(this.fileOf(key), [this.digestOf(content), content]);
  }

  /** Removes all that a run's calibration has kept. */
  static async remove(run: RunDirectory): Promise<void> {
    const folder = run.path("checkpoints");
    try {
      const names = (await readdir(folder)).filter((name) => name.startsWith(PREFIX));
      for (const name of names) await rm(path.join(folder, name), { force: true, recursive: true });
    } catch (error) {
      throw ioError(folder, "cannot remove what calibration has kept", error);
    }
  }

  private fileOf(key: string): string {
    return path.join(this.folder, `${PREFIX}${key}.bin`);
  }

  private digestOf(content: Uint8Array): Buffer {
    return createHash("sha256").update(this.identity).update(content).digest();
  }
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw ioError(file, "cannot read a file of the run", error);
  }
}
