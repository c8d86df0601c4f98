import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ioError } from "../files/atomic.js";
import { checkDirectoryPath } from "../files/directories.js";
import { isLockFile, RunLock } from "../run/lock.js";

const NAME = /^worker-[0-9a-f]{12}$/;
/** A folder is locked at once after it is made; of one that stays without a lock the worker was killed in between. */
const LOCKING_MS = 60_000;

/** Where a worker puts the trials that it runs: a folder of its own, which is removed at its end. */
export class WorkDirectory {
  private constructor(
    readonly root: string,
    private readonly lock: RunLock,
  ) {}

  /**
   * @param parent where workers of this machine have their folders: what those have left that were killed is removed.
   *   By default below the system's place for temporary files
   * @throws PenniError "io"
   */
  static async make(parent: string | undefined): Promise<WorkDirectory> {
    const place = parent === undefined ? undefined : path.resolve(parent);
    if (parent !== undefined) checkDirectoryPath(parent);
    try {
      if (place !== undefined) await mkdir(place, { recursive: true });
      const root =
        place === undefined
          ? await mkdtemp(path.join(tmpdir(), "penni-worker-"))
          : path.join(place, `worker-${randomBytes(6).toString("hex")}`);
      await mkdir(root, { recursive: true });
      const lock = await RunLock.acquire(root);
      if (place !== undefined) await removeLeft(place, root);
      return new WorkDirectory(root, lock);
    } catch (error) {
      throw ioError(place ?? tmpdir(), "cannot work in the directory", error);
    }
  }

  /** A new folder for a trial. */
  folder(trial: string): string {
    try {
      return mkdtempSync(path.join(this.root, `${trial.slice(0, 12)}-`));
    } catch (error) {
      throw ioError(this.root, "cannot work in the directory", error);
    }
  }

  /** Removes a trial's folder. */
  discard(folder: string): void {
    try {
      // Of a disk of this machine: one call after the other would cost more than all that a short trial is.
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // It is removed with the rest, or by the next worker of this place.
    }
  }

  async remove(): Promise<void> {
    await this.lock.release();
    await rm(this.root, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function removeLeft(place: string, own: string): Promise<void> {
  // By the clock of the file system, which may be another machine's.
  const { mtimeMs: now } = await stat(own);
  for (const name of await readdir(place)) {
    const root = path.join(place, name);
    if (!NAME.test(name) || root === own || (await isBeingMade(root, now))) continue;
    const lock = await RunLock.acquire(root).catch(() => undefined);
    // Another worker of this place, or of another machine that has the same.
    if (lock === undefined) continue;
    await rm(root, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Whether another worker may be about to lock its new folder, or to remove it. */
async function isBeingMade(root: string, now: number): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(root);
    return now - mtimeMs < LOCKING_MS && !(await readdir(root)).some(isLockFile);
  } catch {
    return true;
  }
}
