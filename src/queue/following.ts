import { at } from "../graph/at.js";
import { resultVersions } from "../sweep/provenance.js";
import type { Trial, TrialOutcome, TrialWatch } from "../sweep/trial.js";
import { epochOf } from "../sweep/trial_epochs.js";
import type { Bell } from "./bell.js";
import type { Payload } from "./payload.js";
import { writeRecord } from "./records.js";
import type { TrialFiles } from "./trial_files.js";

/** Who has come to an end with a trial. */
interface Doer {
  readonly worker: string;
  readonly attempts: number;
}

/** Where a trial on the queue stands. */
export type Standing =
  | { readonly kind: "away" | "missing" | "waiting" | "running" }
  /** A worker has come to its end with it, whatever that is. */
  | { readonly kind: "ended"; readonly worker: string; readonly attempts: number }
  | { readonly kind: "failed"; readonly reason: string; readonly attempts: number };

/** What is done with a trial on the queue, and with its files in the store. */
export interface TrialQueue {
  /** Milliseconds between looks where nothing is heard. */
  readonly lookMs: number;
  readonly files: TrialFiles;
  /** Does something with the store, again as long as that is away; undefined where the sweep is stopped meanwhile. */
  storing<Result>(signal: AbortSignal, bell: Bell, work: () => Promise<Result>): Promise<Result | undefined>;
  /** Puts a trial on the queue; one that is there already is left as it is. */
  submit(payload: Payload): Promise<void>;
  standing(payload: Payload): Promise<Standing>;
  /** Takes a trial off the queue, unless a worker has it. @returns whether it is off */
  remove(trial: string): Promise<boolean>;
  /** Makes way for another try of a trial that has failed. */
  failed(trial: string): Promise<void>;
  /** Whether a person has taken it off. */
  wasWithdrawn(trial: string): boolean;
}

/** A worker that was asked to end a trial has that long to write its checkpoint. */
const PAUSING_MS = 120_000;
/** The news that a job was taken off come after the fact. */
const REMOVAL_MS = 1000;

/** One trial on its way through the queue. */
export class Following {
  private seen = 0;
  private asked: "stop" | "pause" | undefined;
  private askedAt = 0;
  /** Whether it was on the queue when it was looked for last. */
  private isQueued = false;

  constructor(
    private readonly queue: TrialQueue,
    private readonly trial: Trial,
    private readonly directory: string,
    private readonly watch: TrialWatch,
    private readonly payload: Payload,
    private readonly bell: Bell,
  ) {}

  async outcome(): Promise<TrialOutcome> {
    const { queue, bell, watch } = this;
    const told = await queue.storing(watch.signal, bell, async () => ({ of: await this.readEpochs() }));
    if (told === undefined) return { status: "paused" };
    // What was on the queue before is left as it is, and that is told.
    if (!watch.signal.aborted && this.asked === undefined) await this.submit();
    else bell.ring();
    for (;;) {
      await bell.wait(queue.lookMs);
      bell.hear();
      const stepped = await queue.storing(watch.signal, bell, async () => ({ ended: await this.step() }));
      if (stepped === undefined) return { status: "paused" };
      if (stepped.ended !== undefined) return stepped.ended;
    }
  }

  private async step(): Promise<TrialOutcome | undefined> {
    const { queue, trial, watch } = this;
    const found = await this.result();
    if (found !== undefined) return found;
    if (watch.signal.aborted && this.asked !== "pause") await this.ask("pause");
    const standing = await queue.standing(this.payload);
    const wasQueued = this.isQueued;
    if (standing.kind !== "away") this.isQueued = standing.kind !== "missing";
    switch (standing.kind) {
      case "away":
        return this.overdue();
      case "missing":
        if (this.asked !== undefined) return this.halted(OUTCOME[this.asked]);
        // If somebody has taken it off, that is about to be told.
        if (wasQueued) await this.bell.wait(REMOVAL_MS);
        if (wasQueued && queue.wasWithdrawn(trial.id)) return this.halted("paused");
        // Of another sweep, which has the same trial and has left it.
        await queue.files.store.removeRecord(trial.id, "request");
        await this.submit();
        return undefined;
      case "waiting":
        if (this.asked === undefined) return undefined;
        return (await queue.remove(trial.id)) ? this.halted(OUTCOME[this.asked]) : this.overdue();
      case "running":
        return this.overdue();
      case "failed":
        await queue.failed(trial.id);
        return { status: "failed", reason: standing.reason, attempts: standing.attempts };
      case "ended":
        return this.ended(standing);
    }
  }

  /** The result, once the epochs that led to it are told. */
  private result(): Promise<TrialOutcome | undefined> {
    return this.queue.files.result(this.trial, this.directory, () => this.readEpochs());
  }

  private async ended(by: Doer): Promise<TrialOutcome | undefined> {
    const { queue, trial } = this;
    // It may have come after the last look.
    const found = await this.result();
    if (found !== undefined) return found;
    await queue.remove(trial.id);
    if (this.asked !== undefined) return this.halted(OUTCOME[this.asked], by);
    // Nobody here asked for its end, or its result is gone: it goes on.
    await queue.files.store.removeRecord(trial.id, "request");
    await this.submit();
    return undefined;
  }

  private async submit(): Promise<void> {
    await this.queue.submit(this.payload);
    this.isQueued = true;
  }

  private async ask(ask: "stop" | "pause"): Promise<void> {
    this.asked = ask;
    this.askedAt = performance.now();
    await writeRecord(this.queue.files.store, this.trial.id, "request", { format: 1, ask });
  }

  /** A worker that does not answer writes what it has into the store, from where the trial goes on. */
  private async overdue(): Promise<TrialOutcome | undefined> {
    if (this.asked === undefined || performance.now() - this.askedAt < PAUSING_MS) return undefined;
    return this.halted(OUTCOME[this.asked]);
  }

  /** The run as far as it came is brought here, so that it can go on from here. */
  private async halted(
    status: "paused" | "stopped",
    { worker, attempts }: Doer = NOBODY,
  ): Promise<TrialOutcome> {
    await this.queue.files.restoreCheckpoint(this.trial, this.directory);
    if (status === "paused") return { status };
    return { status, provenance: { ...resultVersions(), worker, attempts } };
  }

  private async readEpochs(): Promise<void> {
    const bytes = await this.queue.files.store.record(this.trial.id, "metrics");
    if (bytes === undefined) return;
    const lines = new TextDecoder().decode(bytes).split("\n").slice(0, -1);
    for (; this.seen < lines.length; this.seen++) {
      const epoch = epochOf(at(lines, this.seen));
      if (epoch === undefined) continue;
      const answer = this.watch.onEpoch(epoch);
      if (answer === "stop" && this.asked === undefined) await this.ask("stop");
    }
  }
}

/** Of a trial that was taken off the queue while it waited. */
const NOBODY: Doer = { worker: "none", attempts: 1 };

const OUTCOME = { stop: "stopped", pause: "paused" } as const;
