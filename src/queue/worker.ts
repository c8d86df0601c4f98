import type { Job, Worker } from "bullmq";
import { messageOf, PenniError } from "../graph/errors.js";
import { type QueueAddress, shownAddress, withoutPassword } from "./address.js";
import { Bell } from "./bell.js";
import { connectionOptions, KEY_PREFIX, loadBullMq, type Purpose, QUEUE_NAME } from "./libraries.js";
import { checkFormat, checkStore, checkVersions, type Payload, readPayload } from "./payload.js";
import { type Interruption, type Performed, perform, type Workshop } from "./perform.js";
import { awaitServer, checkClock, isAway, problemOf, within } from "./server.js";

export interface WorkerOptions {
  readonly address: QueueAddress;
  readonly workshop: Workshop;
  /** Trials at a time. */
  readonly jobs: number;
  /** Whether trials of other versions of penni and ONNX Runtime are taken too. */
  readonly isMixed: boolean;
  /** Ends after one trial, or where none waits. */
  readonly isOnce: boolean;
  /** Milliseconds without a sign of life after which a worker's trials go on elsewhere. */
  readonly lostAfterMs: number;
  /** Milliseconds for which a queue that is not there yet is waited for (0). */
  readonly waitMs?: number;
  /** Aborted to end: trials that run are given back with a checkpoint. */
  readonly signal: AbortSignal;
}

/** What a worker did. */
export interface WorkerReport {
  readonly done: number;
  readonly failed: number;
  readonly refused: number;
}

/** Times that a lock is renewed before it would be lost: Redis may be away for nearly all of that. */
const RENEWALS = 8;
const RETRY_MS = 1000;
/** Before a trial that this worker may not take is offered again. */
const REFUSED_MS = 15_000;
const LONGEST_REASON = 1000;
/** What stalled jobs are counted by is their checkpoints (`perform`), not this. */
const ANY_NUMBER = 1e9;
/** Ending waits for Redis no longer than that. */
const CLOSING_MS = 10_000;

type BullMq = Awaited<ReturnType<typeof loadBullMq>>;

/**
 * Takes trials from a queue until it is asked to end.
 * @throws PenniError "io" if there is no queue to begin with (`awaitServer`), or its clock is another; with `isOnce`, why its trial was refused or failed
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerReport> {
  const library = await loadBullMq();
  const { address, waitMs = 0, workshop, signal } = options;
  const bell = new Bell();
  const ring = (): void => bell.ring();
  if (signal.aborted) bell.ring();
  signal.addEventListener("abort", ring, { once: true });
  const server = await awaitServer(address, { limitMs: waitMs, bell, notice: workshop.notice });
  signal.removeEventListener("abort", ring);
  if (server !== undefined) checkClock(server, address);
  return new QueueWorker(library, options).run();
}

class QueueWorker {
  private readonly running = new Map<string, AbortController>();
  private readonly counts = { done: 0, failed: 0, refused: 0 };
  private readonly said = new Set<string>();
  private readonly purpose: Purpose = { isOver: false };
  private isAway = false;
  /** With `isOnce`. */
  private failure: PenniError | undefined;
  private finish: () => void = () => undefined;
  private readonly finished = new Promise<void>((resolve) => {
    this.finish = resolve;
  });

  constructor(
    private readonly library: BullMq,
    private readonly options: WorkerOptions,
  ) {}

  async run(): Promise<WorkerReport> {
    const { signal, isOnce } = this.options;
    const worker = this.start();
    const leave = (): void => {
      for (const controller of this.running.values()) controller.abort("leaving" satisfies Interruption);
      this.finish();
    };
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    if (isOnce) worker.on("drained", () => this.running.size === 0 && this.finish());
    await this.finished;
    await this.close(worker);
    signal.removeEventListener("abort", leave);
    if (this.failure !== undefined) throw this.failure;
    return this.counts;
  }

  private start(): Worker {
    const { address, jobs, isOnce, lostAfterMs, workshop } = this.options;
    const worker: Worker = new this.library.Worker(
      QUEUE_NAME,
      (job: Job, token?: string) => this.process(worker, job, token),
      {
        connection: connectionOptions(address, this.purpose),
        prefix: KEY_PREFIX,
        name: workshop.worker,
        concurrency: isOnce ? 1 : jobs,
        // Redis takes whole milliseconds.
        lockDuration: Math.round(lostAfterMs),
        lockRenewTime: Math.round(lostAfterMs / RENEWALS),
        stalledInterval: Math.round(lostAfterMs / 3),
        maxStalledCount: ANY_NUMBER,
        runRetryDelay: RETRY_MS,
      },
    );
    worker.on("error", (error) => this.tellError(error));
    worker.on("locksRenewed", () => this.tellBack());
    worker.on("active", () => this.tellBack());
    worker.on("lockRenewalFailed", (jobs) => {
      for (const id of jobs) this.running.get(id)?.abort("lost" satisfies Interruption);
    });
    return worker;
  }

  private async close(worker: Worker): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      const wait = (): void => {
        // Trials that are still writing their checkpoints are waited for.
        if (this.running.size > 0) timer = setTimeout(wait, RETRY_MS);
        else timer = setTimeout(resolve, CLOSING_MS);
      };
      wait();
    });
    // Where Redis is away a goodbye fails, sooner or later; checkpoints are waited for all the same.
    const failed = (error: unknown): Promise<void> => {
      if (!this.isAway) this.tellError(error);
      return late;
    };
    await Promise.race([worker.close().catch(failed), late]);
    clearTimeout(timer);
    this.purpose.isOver = true;
    const disconnected = worker.disconnect().catch(() => undefined);
    await Promise.race([disconnected, new Promise((resolve) => setTimeout(resolve, RETRY_MS))]);
  }

  private async process(worker: Worker, job: Job, token: string | undefined): Promise<{ status: Performed }> {
    const { isOnce, signal } = this.options;
    if (isOnce) await worker.pause(true);
    const controller = new AbortController();
    if (signal.aborted) controller.abort("leaving" satisfies Interruption);
    const id = job.id ?? "none";
    this.running.set(id, controller);
    try {
      return await this.take(job, token, controller.signal);
    } finally {
      this.running.delete(id);
      if (isOnce) this.finish();
    }
  }

  private async take(
    job: Job,
    token: string | undefined,
    interrupted: AbortSignal,
  ): Promise<{ status: Performed }> {
    const { workshop } = this.options;
    await this.orLeave(job, token, () => checkFormat(job, workshop.worker));
    const payload = this.readPayload(job);
    await this.orLeave(job, token, () => this.checkFits(payload));
    const short = payload.trial.slice(0, 12);
    workshop.notice(`trial ${short} ...`);
    const status = await this.performed(job, payload, interrupted);
    if (status === "lost") {
      workshop.notice(`trial ${short}: the queue has given it to another worker`);
      // Whatever is said of it now is no more this worker's to say.
      throw new this.library.WaitingError();
    }
    workshop.notice(`trial ${short}: ${status === "given-back" ? "given back with its checkpoint" : status}`);
    if (status !== "given-back") {
      this.counts.done += 1;
      return { status };
    }
    await this.giveBack(job, token);
    throw new this.library.WaitingError();
  }

  /** Where Redis is away, the trial goes on elsewhere as that of a worker that was killed. */
  private async giveBack(job: Job, token: string | undefined): Promise<void> {
    try {
      await within(job.moveToWait(token), CLOSING_MS);
    } catch (error) {
      this.tellError(error);
    }
  }

  private async performed(job: Job, payload: Payload, interrupted: AbortSignal): Promise<Performed> {
    const { workshop, address } = this.options;
    const number = job.attemptsMade + 1;
    const progress = async (): Promise<void> => {
      // Only that there is something to read: it may be lost, or late.
      job.updateProgress(Date.now()).catch((error: unknown) => this.tellError(error));
    };
    try {
      return await perform(payload, { number, progress }, workshop, interrupted);
    } catch (error) {
      const reason = withoutPassword(messageOf(error), address).slice(0, LONGEST_REASON);
      this.counts.failed += 1;
      workshop.notice(`trial ${payload.trial.slice(0, 12)}: ${reason}`);
      this.failure = this.options.isOnce ? new PenniError("training", reason) : undefined;
      throw isFinal(error) ? new this.library.UnrecoverableError(reason) : new Error(reason);
    }
  }

  private readPayload(job: Job): Payload {
    try {
      return readPayload(job);
    } catch (error) {
      this.refuse(error);
      throw new this.library.UnrecoverableError(messageOf(error));
    }
  }

  /** What another version computes may be another result, and in another store there is nothing of the trial. */
  private checkFits({ store, versions }: Payload): void {
    const { workshop, isMixed } = this.options;
    checkStore(store, workshop.store.id, workshop.worker);
    if (!isMixed) checkVersions(versions, workshop.versions, workshop.worker);
  }

  /** A trial that is not for this worker is left to others, and that is said by name. */
  private async orLeave(job: Job, token: string | undefined, check: () => void): Promise<void> {
    try {
      check();
    } catch (error) {
      this.refuse(error);
      await job.updateProgress({ refused: messageOf(error) });
      await job.moveToDelayed(Date.now() + REFUSED_MS, token);
      throw new this.library.DelayedError();
    }
  }

  private refuse(error: unknown): void {
    this.counts.refused += 1;
    if (!(error instanceof PenniError)) return;
    this.tellOnce(error.message);
    if (this.options.isOnce) this.failure = error;
  }

  private tellOnce(text: string): void {
    if (this.said.has(text)) return;
    this.said.add(text);
    this.options.workshop.notice(text);
  }

  private tellError(error: unknown): void {
    const { address, workshop } = this.options;
    const text = withoutPassword(problemOf(error), address);
    if (!isAway(error)) {
      this.tellOnce(text);
      return;
    }
    if (!this.isAway) workshop.notice(`${shownAddress(address)} is away (${text}): waiting`);
    this.isAway = true;
  }

  private tellBack(): void {
    if (this.isAway) this.options.workshop.notice(`${shownAddress(this.options.address)} is back`);
    this.isAway = false;
  }
}

/** What another attempt would only say again: a trial that was refused for what it is. */
function isFinal(error: unknown): boolean {
  return error instanceof PenniError && /^refused /.test(error.problem);
}
