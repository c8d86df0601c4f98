import { at } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Study } from "../search/study.js";
import type { SweepDirectory } from "./directory.js";
import { goesOn, nextPromotion } from "./halving.js";
import type { SweepEvent } from "./journal.js";
import { describeProgress, progressOf } from "./progress.js";
import { resultOf, studyOf } from "./search_of.js";
import { rungEntries, stoppedAt, type TrialState } from "./state.js";
import type { AxisValue, Trial, TrialEpoch, TrialOutcome, TrialRunner } from "./trial.js";

/** What a trial is made of. */
export type TrialContent = Pick<Trial, "id" | "settings">;

/**
 * Settings of the values that axes gave, and their id.
 * @throws PenniError "bad-option" if they contradict each other
 */
export type TrialMaker = (values: Readonly<Record<string, AxisValue>>) => Promise<TrialContent>;

/** Told what happens. */
export interface SweepListener {
  started?(trial: Trial): void;
  epoch?(trial: Trial, epoch: TrialEpoch): void;
  /** Also of one that was not run, as its result was there or there can be none. */
  ended?(trial: TrialState): Promise<void> | void;
}

export interface SweepWork {
  readonly sweep: SweepDirectory;
  readonly runner: TrialRunner;
  readonly make: TrialMaker;
  readonly listener?: SweepListener;
  /** Pauses the sweep: trials that run write a checkpoint. */
  readonly signal?: AbortSignal;
}

/**
 * Computes what of a sweep is missing. Nothing that has ended is computed again, and what was begun goes on.
 * @throws PenniError "interrupted" when the signal is aborted; "io" if the journal cannot be written; what the runner
 *   rejects with
 */
export async function runSweep(work: SweepWork): Promise<void> {
  await new Engine(work).run();
}

class Engine {
  private readonly study: Study;
  /** Ids of trials in work, by their numbers. */
  private readonly running = new Map<number, string>();
  private readonly inWork = new Set<string>();
  /** Numbers of trials that wait, in the order in which they are begun. */
  private readonly waiting: Set<number>;
  /** For each id the trial that is done. */
  private readonly done = new Map<string, number>();
  private readonly halt = new AbortController();
  /** Whether the runner has given trials back without being asked to: a person has taken them off. */
  private isTakenOff = false;
  /** Of the runner or the journal: ends the sweep. */
  private fault: { readonly error: unknown } | undefined;
  private hasEnded = false;
  private wake: () => void = () => undefined;

  constructor(private readonly work: SweepWork) {
    const { spec, state } = work.sweep;
    this.study = studyOf(spec, state);
    this.waiting = new Set(state.flatMap(({ number, status }) => (status === "waiting" ? [number] : [])));
    for (const { id, number, status } of state)
      if (status === "done" && id !== undefined && !this.done.has(id)) this.done.set(id, number);
  }

  async run(): Promise<void> {
    const { signal } = this.work;
    const stop = (): void => this.halt.abort();
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted === true) stop();
    try {
      for (;;) {
        this.hasEnded = false;
        await this.fill();
        // What has ended meanwhile may be what others waited for.
        if (this.running.size === 0 && !this.hasEnded) break;
        await this.nextEnd();
      }
      await this.work.sweep.flush();
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    if (this.fault !== undefined) throw this.fault.error;
    const why = signal?.aborted === true ? "" : ", as trials were taken off the queue";
    if (signal?.aborted === true || this.isTakenOff) throw this.paused(why);
  }

  private paused(why: string): PenniError {
    const { spec, state } = this.work.sweep;
    const how = describeProgress(progressOf(spec, state), "paused");
    return new PenniError("interrupted", `the sweep is paused${why}: ${how}`);
  }

  /** Waits until a trial has come to its end since the last look. */
  private nextEnd(): Promise<void> {
    return new Promise((resolve) => {
      if (this.hasEnded) resolve();
      else this.wake = resolve;
    });
  }

  /** As many as are run at a time; a search that learns must not ask for all trials before the first has ended. */
  private get places(): number {
    const { runner, sweep } = this.work;
    const { search } = sweep.spec;
    if (Number.isFinite(runner.places) || search.kind !== "tpe") return Math.max(1, runner.places);
    return Math.ceil(search.trials / LEARNING_SHARE);
  }

  /** Starts trials as long as there are any and places for them. */
  private async fill(): Promise<void> {
    const { sweep } = this.work;
    try {
      while (!this.halt.signal.aborted && !this.isTakenOff && this.running.size < this.places) {
        await sweep.checkFiles();
        const trial = await this.next();
        if (trial === undefined) return;
        this.start(trial);
      }
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    this.fault ??= { error };
    this.halt.abort();
  }

  /** Notes what is of use to know at once, and is found again if it is lost. */
  private note(event: SweepEvent): void {
    this.work.sweep.record(event);
    this.work.sweep.flush().catch((error: unknown) => this.fail(error));
  }

  private start(trial: Trial): void {
    const { number, id } = trial;
    this.note({ event: "started", number });
    this.waiting.delete(number);
    this.running.set(number, id);
    this.inWork.add(id);
    this.work.listener?.started?.(trial);
    void this.runTrial(trial)
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.running.delete(number);
        this.inWork.delete(id);
        this.hasEnded = true;
        this.wake();
      });
  }

  /** What was begun first, then stopped trials that have become good enough, then new ones. */
  private async next(): Promise<Trial | undefined> {
    for (;;) {
      const begun = await this.nextWaiting();
      if (begun !== undefined) return begun;
      const promoted = this.promotable();
      if (promoted !== undefined) {
        this.note({ event: "promoted", number: promoted });
        this.waiting.add(promoted);
        continue;
      }
      if (this.study.isExhausted) return undefined;
      await this.ask();
    }
  }

  /** Settles on its way trials whose result is there. */
  private async nextWaiting(): Promise<Trial | undefined> {
    const { sweep } = this.work;
    for (const number of this.waiting) {
      const { values, id, settings } = this.trialState(number);
      if (id === undefined || settings === undefined) continue;
      const same = this.done.get(id);
      if (same !== undefined) {
        const { summary, provenance } = this.trialState(same);
        if (summary === undefined || provenance === undefined) continue;
        this.waiting.delete(number);
        sweep.record({ event: "done", number, summary, provenance, sameAs: same });
        await this.settle(number);
        continue;
      }
      // Its result will be there when the other one has ended.
      if (this.inWork.has(id)) continue;
      return { number, id, values, settings };
    }
    return undefined;
  }

  private promotable(): number | undefined {
    const { halving } = this.work.sweep.spec;
    if (halving === undefined) return undefined;
    const { state } = this.work.sweep;
    return nextPromotion(rungEntries(state, halving.rungs.length), stoppedAt(state), halving.reductionFactor);
  }

  private async ask(): Promise<void> {
    const { sweep, make } = this.work;
    const { number, params: values } = this.study.ask();
    try {
      const { id, settings } = await make(values);
      sweep.record({ event: "asked", number, values, id, settings });
      this.waiting.add(number);
    } catch (error) {
      if (!(error instanceof PenniError) || error.code !== "bad-option") throw error;
      sweep.record({ event: "refused", number, values, reason: error.message });
      await this.settle(number);
    }
  }

  private async runTrial(trial: Trial): Promise<void> {
    const { sweep, runner, listener } = this.work;
    const outcome = await runner.run(trial, sweep.trialDirectory(trial), {
      signal: this.halt.signal,
      onEpoch: (epoch) => {
        listener?.epoch?.(trial, epoch);
        return this.judge(trial, epoch);
      },
    });
    await this.end(trial, outcome);
  }

  /** Notes the rungs that a trial has come to, each once however often its epochs are told. */
  private judge({ number }: Trial, epoch: TrialEpoch): "go-on" | "stop" {
    const { sweep } = this.work;
    const { halving } = sweep.spec;
    if (halving === undefined || epoch.stage !== halving.stage) return "go-on";
    const { rungs, isHeld } = this.trialState(number);
    let isGood = !isHeld;
    for (let rung = rungs.length; isGood; rung++) {
      const due = halving.rungs[rung];
      if (due === undefined || epoch.epoch < due) break;
      const value = judgedValue(epoch);
      const others = at(rungEntries(sweep.state, rung + 1), rung);
      isGood = goesOn([...others, { trial: number, value }], number, halving.reductionFactor);
      this.note({ event: "rung", number, rung, value, goesOn: isGood });
    }
    return isGood ? "go-on" : "stop";
  }

  private async end({ number, id }: Trial, outcome: TrialOutcome): Promise<void> {
    const { sweep } = this.work;
    switch (outcome.status) {
      case "paused":
        this.isTakenOff ||= !this.halt.signal.aborted;
        return;
      case "done": {
        const { summary, provenance } = outcome;
        sweep.record({ event: "done", number, summary, provenance });
        if (!this.done.has(id)) this.done.set(id, number);
        break;
      }
      case "stopped":
        sweep.record({ event: "stopped", number, provenance: outcome.provenance });
        break;
      case "failed": {
        const { reason, attempts } = outcome;
        sweep.record({ event: "failed", number, reason, attempts });
        break;
      }
    }
    await this.settle(number);
  }

  /** Tells the search and the listener of a trial that has ended. */
  private async settle(number: number): Promise<void> {
    const { sweep, listener } = this.work;
    const trial = this.trialState(number);
    const result = resultOf(trial, sweep.spec.search);
    // The objectives of a grid are nobody's.
    if (result !== undefined) this.study.tell(number, result);
    await sweep.flush();
    await listener?.ended?.(trial);
  }

  private trialState(number: number): TrialState {
    const trial = this.work.sweep.state[number];
    if (trial === undefined) throw new RangeError(`there is no trial ${number}`);
    return trial;
  }
}

/** Failed trials are tried again when the sweep goes on; those whose settings contradict each other are not. */
export function retryFailed(sweep: SweepDirectory): number {
  const failed = sweep.state.filter(({ status, id }) => status === "failed" && id !== undefined);
  for (const { number } of failed) sweep.record({ event: "retried", number });
  return failed.length;
}

/** With places without end, a search that learns has one of so many of its trials in work. */
const LEARNING_SHARE = 8;

/** Top-1 on the held-out images, or without labels the loss; null where that is not finite. */
function judgedValue({ validation, loss }: TrialEpoch): number | null {
  const value = validation ?? -loss;
  return Number.isFinite(value) ? value : null;
}
