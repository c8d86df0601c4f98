import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, open, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ioError, writeFileAtomic } from "../files/atomic.js";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { RunLock } from "../run/lock.js";
import { resultVersions } from "./provenance.js";
import { readSummary } from "./summary_file.js";
import type { Trial, TrialOutcome, TrialProvenance, TrialRunner, TrialWatch } from "./trial.js";
import { EpochReader } from "./trial_epochs.js";

export interface EmbeddedOptions {
  /** Trials at a time. */
  readonly jobs: number;
  /** Module that runs a command line of Penni, ends when its parent does, and stops at the message "stop". */
  readonly program: URL;
  /** Threads of this machine (all of its cores), shared by the trials. */
  readonly threads?: number;
}

/** What a trial's process is told; it is asked for a checkpoint as by Ctrl-C. */
export const STOP = "stop";

/** How often a trial's epochs are looked for. */
const POLL_MS = 250;
/** A trial of a sweep that was killed notices within a step. */
const ENDING_MS = 120_000;

/**
 * Runs each trial in a process of its own: `penni compress` with a configuration beside the run's directory. What it
 * prints goes to a log there. Where settings do not say how many threads, the cores are shared evenly.
 */
export class EmbeddedRunner implements TrialRunner {
  readonly places: number;
  private readonly threads: number;
  private readonly children = new Set<ChildProcess>();

  constructor(private readonly options: EmbeddedOptions) {
    this.places = options.jobs;
    const cores = orDefault(options.threads, availableParallelism());
    this.threads = Math.max(1, Math.floor(cores / options.jobs));
  }

  async run(trial: Trial, directory: string, watch: TrialWatch): Promise<TrialOutcome> {
    await mkdir(path.dirname(directory), { recursive: true });
    const epochs = new EpochReader(directory);
    // A run that ended just before its sweep was killed.
    const summary = await readSummary(directory);
    if (summary !== undefined) return { status: "done", summary, provenance: provenance() };
    if ((await epochs.tell(watch)) === "stop") return { status: "stopped", provenance: provenance() };
    if (watch.signal.aborted) return { status: "paused" };
    await untilFree(directory, watch.signal);
    const words = await this.words(trial, directory);
    return this.ended(await this.compute(words, directory, epochs, watch), directory, watch);
  }

  async close(): Promise<void> {
    for (const child of this.children) child.kill("SIGKILL");
  }

  /** A run that has begun goes on with its own settings. */
  private async words({ settings }: Trial, directory: string): Promise<readonly string[]> {
    if (existsSync(path.join(directory, "config.json"))) return ["compress", "--resume", directory];
    const config = `${directory}.config.json`;
    const compress = { threads: this.threads, ...settings };
    await writeFileAtomic(config, `${JSON.stringify({ compress }, null, 2)}\n`);
    return ["compress", "--config", config, "-o", directory];
  }

  private async compute(
    words: readonly string[],
    directory: string,
    epochs: EpochReader,
    watch: TrialWatch,
  ): Promise<ProcessEnd> {
    const log = await open(`${directory}.log`, "a");
    try {
      const child = spawn(process.execPath, [fileURLToPath(this.options.program), ...words], {
        stdio: ["ignore", log.fd, log.fd, "ipc"],
        // Not in the terminal's group: Ctrl-C is passed on, so that it comes once.
        detached: true,
      });
      this.children.add(child);
      try {
        return await followed(child, epochs, watch);
      } finally {
        this.children.delete(child);
      }
    } finally {
      await log.close();
    }
  }

  private async ended(end: ProcessEnd, directory: string, { signal }: TrialWatch): Promise<TrialOutcome> {
    const summary = end.status === 0 ? await readSummary(directory) : undefined;
    if (summary !== undefined) return { status: "done", summary, provenance: provenance() };
    if (end.wasStopped) return { status: "stopped", provenance: provenance() };
    if (signal.aborted) return { status: "paused" };
    return { status: "failed", reason: await reasonOf(end, directory), attempts: 1 };
  }
}

interface ProcessEnd {
  readonly status: number | null;
  readonly killer: NodeJS.Signals | null;
  /** Whether it was asked to stop as it fell behind. */
  readonly wasStopped: boolean;
}

/** Tells epochs as they come until the process has ended. */
async function followed(child: ChildProcess, epochs: EpochReader, watch: TrialWatch): Promise<ProcessEnd> {
  const found: { end?: Omit<ProcessEnd, "wasStopped"> } = {};
  let wasStopped = false;
  const wake = new AbortController();
  const stop = (): void => {
    if (child.connected) child.send(STOP, () => undefined);
  };
  child.once("error", (error) => {
    found.end ??= { status: null, killer: null };
    wake.abort(error);
  });
  child.once("close", (status, killer) => {
    found.end ??= { status, killer };
    wake.abort();
  });
  watch.signal.addEventListener("abort", stop, { once: true });
  if (watch.signal.aborted) stop();
  try {
    for (;;) {
      const { end } = found;
      if (end !== undefined) {
        // What it wrote just before its end.
        if (!wasStopped) wasStopped = (await epochs.tell(watch)) === "stop";
        return { ...end, wasStopped };
      }
      await sleep(POLL_MS, undefined, { signal: wake.signal }).catch(() => undefined);
      if (wasStopped || (await epochs.tell(watch)) === "go-on") continue;
      wasStopped = true;
      stop();
    }
  } finally {
    watch.signal.removeEventListener("abort", stop);
  }
}

/** The error that the command ended with, as its log says it. */
async function reasonOf({ status, killer }: ProcessEnd, directory: string): Promise<string> {
  const lines = (await readFile(`${directory}.log`, "utf8").catch(() => "")).split("\n");
  const error = lines.findLast((line) => line.startsWith(ERROR));
  if (killer === null && status !== null && error !== undefined) return error.slice(ERROR.length);
  const how = killer === null ? `exit status ${status}` : `signal ${killer}`;
  return `its process ended unexpectedly: ${how}; see ${path.basename(directory)}.log`;
}

const ERROR = "penni: ";

function provenance(): TrialProvenance {
  return { ...resultVersions(), worker: "embedded", attempts: 1 };
}

/** Waits for the trial's process of a sweep that was killed, if it has not ended yet. */
async function untilFree(directory: string, signal: AbortSignal): Promise<void> {
  for (let waited = 0; ; waited += POLL_MS) {
    try {
      await RunLock.checkFree(directory);
      return;
    } catch (error) {
      const isHeld = error instanceof PenniError && waited < ENDING_MS && !signal.aborted;
      if (!isHeld) throw ioError(directory, "cannot work in the trial's directory", error);
    }
    await sleep(POLL_MS);
  }
}
