import { existsSync } from "node:fs";
import { open, readdir, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ioError, writeFileAtomic } from "../files/atomic.js";
import { PenniError } from "../graph/errors.js";
import { bootIdentity, identify, isRunning, type ProcessIdentity } from "./processes.js";

const processSchema = z.object({ pid: z.number().int().positive(), started: z.string().optional() });

const lockSchema = z.object({
  host: z.string(),
  boot: z.string().optional(),
  /** The process that works in the directory. */
  owner: processSchema,
  /** A training process of its own, which outlives it by up to a step when it is killed. */
  trainer: processSchema.optional(),
});

type LockFile = z.infer<typeof lockSchema>;

/** "left": by processes that have ended; "ending": the owner was killed, its trainer is about to notice. */
type LockStatus = "held" | "ending" | "left";

interface FoundLock {
  readonly number: number;
  readonly file: string;
  /** Undefined where the owner was killed while it wrote. */
  readonly contents: LockFile | undefined;
}

const NAME = /^run-(\d+)\.lock$/;
const POLL_MS = 50;
/** A lock is written at once after it is made; one that stays unreadable has no owner. */
const WRITING_MS = 500;
/** A trainer whose parent is gone ends after the step it is at. */
const ENDING_MS = 120_000;

/** Whether a file of this name is a lock of a directory. */
export function isLockFile(name: string): boolean {
  return NAME.test(name);
}

/**
 * The right to work in a directory, which one process has at a time, together with its training process.
 * Locks are numbered files; making a file of a new name succeeds for one process only, so whoever finds a lock
 * left behind makes the next number, and only then removes those before it.
 */
export class RunLock {
  private constructor(
    private readonly file: string,
    private readonly contents: LockFile,
  ) {}

  /**
   * Waits for the training process of a run that was killed, if it has not ended yet.
   * @param notice told what is waited for
   * @throws PenniError "io" naming process and host if another process works in the directory
   */
  static async acquire(
    directory: string,
    notice: (text: string) => void = () => undefined,
  ): Promise<RunLock> {
    for (;;) {
      const before = await findLocks(directory);
      for (const found of before) await awaitEnd(directory, found, notice);
      const number = 1 + before.reduce((most, found) => Math.max(most, found.number), 0);
      const lock = await RunLock.make(path.join(directory, `run-${number}.lock`));
      if (lock === undefined) continue;
      // Whoever read the directory long before may have made a lock of another number since.
      const others = (await findLocks(directory)).filter((found) => found.number !== number);
      const isAlone = others.every(({ contents }) => statusOf(contents) === "left");
      if (!isAlone) {
        await lock.release();
        continue;
      }
      for (const { file } of others) await rm(file, { force: true });
      return lock;
    }
  }

  /** @throws PenniError "io" naming process and host if a process works in the directory */
  static async checkFree(directory: string): Promise<void> {
    if (!existsSync(directory)) return;
    for (const { file, contents } of await findLocks(directory)) {
      if (contents !== undefined && statusOf(contents) === "held") throw held(directory, file, contents);
    }
  }

  /** Undefined if the file is there already. */
  private static async make(file: string): Promise<RunLock | undefined> {
    const contents = { host: hostname(), boot: bootIdentity(), owner: identify(process.pid) };
    try {
      const handle = await open(file, "wx");
      try {
        await handle.writeFile(JSON.stringify(contents));
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") return undefined;
      await rm(file, { force: true }).catch(() => undefined);
      throw ioError(file, "cannot lock the directory", error);
    }
    return new RunLock(file, contents);
  }

  /** From now on the directory also stays locked as long as this training process of the owner runs. */
  async cover(pid: number): Promise<void> {
    await writeFileAtomic(this.file, JSON.stringify({ ...this.contents, trainer: identify(pid) }));
  }

  async release(): Promise<void> {
    // One that cannot be removed counts for nothing as soon as this process has ended.
    await rm(this.file, { force: true }).catch(() => undefined);
  }
}

async function findLocks(directory: string): Promise<FoundLock[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw ioError(directory, "cannot read the directory", error);
  });
  const found: FoundLock[] = [];
  for (const name of names) {
    const number = NAME.exec(name)?.[1];
    const file = path.join(directory, name);
    if (number !== undefined) found.push({ number: Number(number), file, contents: await readLock(file) });
  }
  return found;
}

/** Waits a moment for a lock that is just being written. */
async function readLock(file: string): Promise<LockFile | undefined> {
  for (let waited = 0; waited < WRITING_MS && existsSync(file); waited += POLL_MS) {
    const contents = await parseLock(file);
    if (contents !== undefined) return contents;
    await sleep(POLL_MS);
  }
  return undefined;
}

async function parseLock(file: string): Promise<LockFile | undefined> {
  try {
    return lockSchema.safeParse(JSON.parse(await readFile(file, "utf8"))).data;
  } catch {
    return undefined;
  }
}

function statusOf(contents: LockFile | undefined): LockStatus {
  if (contents === undefined) return "left";
  const { host, boot, owner, trainer } = contents;
  if (host !== hostname()) return "held";
  if (boot !== bootIdentity()) return "left";
  if (isRunning(owner)) return "held";
  return trainer !== undefined && isRunning(trainer) ? "ending" : "left";
}

/** Returns when a lock is one left behind. */
async function awaitEnd(
  directory: string,
  { file, contents }: FoundLock,
  notice: (text: string) => void,
): Promise<void> {
  if (contents === undefined) return;
  if (statusOf(contents) === "held") throw held(directory, file, contents);
  if (statusOf(contents) === "left") return;
  const trainer = contents.trainer ?? contents.owner;
  notice(`waiting for process ${trainer.pid}, the trainer of a run that was killed, to end`);
  for (let waited = 0; waited < ENDING_MS; waited += POLL_MS) {
    if (statusOf(contents) === "left") return;
    await sleep(POLL_MS);
  }
  throw new PenniError("io", "the training process of a run that was killed still works in this directory", {
    file: directory,
    found: describe(trainer, contents.host),
    advice: `Wait for it to end, or end it: kill ${trainer.pid}`,
  });
}

function held(directory: string, file: string, { host, owner }: LockFile): PenniError {
  const isHere = host === hostname();
  return new PenniError("io", "another run works in this directory", {
    file: directory,
    found: describe(owner, host),
    advice: isHere
      ? `Wait for it to end, or end it: kill ${owner.pid}${owner.started === undefined ? `. If that is no process of Penni, delete ${file}` : ""}`
      : `Wait for it to end; if it runs no more, delete ${file}`,
  });
}

function describe({ pid }: ProcessIdentity, host: string): string {
  return `process ${pid} on host ${host}`;
}
