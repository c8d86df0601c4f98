import { isDeepStrictEqual } from "node:util";
import type { Job, Queue, QueueEvents } from "bullmq";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { resultVersions } from "../sweep/provenance.js";
import type { Trial, TrialOutcome, TrialRunner, TrialWatch } from "../sweep/trial.js";
import { type QueueAddress, queueAddress, shownAddress, withoutPassword } from "./address.js";
import { workerNames } from "./administration.js";
import { Bell } from "./bell.js";
import { DirectoryStore } from "./directory_store.js";
import { Following, type Standing, type TrialQueue } from "./following.js";
import { connectionOptions, KEY_PREFIX, loadBullMq, type Purpose, QUEUE_NAME } from "./libraries.js";
import { JOB_NAME, jobIdOf, type Payload } from "./payload.js";
import { awaitServer, problemOf, within } from "./server.js";
import type { Store } from "./store.js";
import { TrialFiles } from "./trial_files.js";

export interface QueueRunnerOptions {
  /** Default: the environment's PENNI_QUEUE. */
  readonly url?: string;
  /** The store's directory, which all workers see; made where it is missing. */
  readonly store: string;
  /** Trials that wait or run at a time (16). */
  readonly places?: number;
  /** How often a trial that fails is tried (3). */
  readonly attempts?: number;
  /** Milliseconds before the second attempt; each further one waits twice as long (5000). */
  readonly backoffMs?: number;
  /** Milliseconds between looks at the store and the queue where nothing is heard (5000). */
  readonly lookMs?: number;
  /** Milliseconds for which a queue that is not there yet is waited for (0). */
  readonly waitMs?: number;
  /** Told of what a person should know: workers that refuse, a queue that is away. */
  readonly notice?: (text: string) => void;
}

/** Attempts of a trial, stated in docs/scale.md. */
export const DEFAULT_ATTEMPTS = 3;
export const DEFAULT_BACKOFF_MS = 5000;
const DEFAULT_PLACES = 16;
const DEFAULT_LOOK_MS = 5000;
/** Events that Redis keeps: they only say that there is something to look at. */
const MOST_EVENTS = 1000;
const KEPT_SECONDS = 3600;
const KEPT_JOBS = 1000;
/** What Redis has not answered by then is asked again when it is back. */
const ANSWER_MS = 10_000;
const DISCONNECTING_MS = 1000;

/**
 * Runs trials on the workers of a queue.
 * @throws PenniError "bad-option" for the address, "unsupported" without the packages, "io" if queue or store are not
 *   there
 */
export async function openQueueRunner(options: QueueRunnerOptions): Promise<TrialRunner> {
  const address = queueAddress(options.url);
  const library = await loadBullMq();
  const { waitMs: limitMs = 0, notice = () => undefined } = options;
  await awaitServer(address, { limitMs, bell: new Bell(), notice });
  const store = await DirectoryStore.create(options.store);
  // Otherwise each trial would only find out, and fail.
  await store.checkWritable();
  const runner = new QueueRunner(library, address, store, options);
  await runner.tellWorkers();
  return runner;
}

async function settledWithin(work: readonly Promise<void>[], milliseconds: number): Promise<void> {
  await within(Promise.allSettled(work), milliseconds).catch(() => undefined);
}

/** States of jobs that nobody works on. */
const WAITING: ReadonlySet<string> = new Set(["waiting", "delayed", "prioritized", "paused", "wait"]);

class QueueRunner implements TrialRunner, TrialQueue {
  readonly places: number;
  private readonly queue: Queue;
  private readonly events: QueueEvents;
  private readonly bells = new Map<string, Bell>();
  private readonly withdrawn = new Set<string>();
  /** Jobs that this runner itself has taken off, of which it has not been told yet. */
  private readonly removed = new Set<string>();
  readonly files: TrialFiles;
  private readonly purpose: Purpose = { isOver: false };
  private isAway = false;
  private isStoreAway = false;

  constructor(
    library: Awaited<ReturnType<typeof loadBullMq>>,
    private readonly address: QueueAddress,
    private readonly store: Store,
    private readonly options: QueueRunnerOptions,
  ) {
    this.files = new TrialFiles(store, (text) => this.tell(text));
    this.places = options.places ?? DEFAULT_PLACES;
    const connection = { connection: connectionOptions(address, this.purpose), prefix: KEY_PREFIX };
    this.queue = new library.Queue(QUEUE_NAME, {
      ...connection,
      streams: { events: { maxLen: MOST_EVENTS } },
    });
    this.events = new library.QueueEvents(QUEUE_NAME, connection);
    // Which ones there are is found out by looking; that they come is why looking can be rare.
    this.queue.on("error", () => undefined);
    this.events.on("error", () => undefined);
    this.listen();
  }

  /** Says if nobody is there to compute anything, which is no error: workers may come later. */
  async tellWorkers(): Promise<void> {
    // Some servers do not say who is there.
    const workers = await within(this.queue.getWorkers(), ANSWER_MS).catch(() => undefined);
    if (workers !== undefined && workerNames(workers, this.address.db).length === 0)
      this.tell("no worker takes trials from this queue yet: waiting (penni worker --queue URL --store DIR)");
  }

  private listen(): void {
    const ring = ({ jobId }: { readonly jobId: string }): void => this.bells.get(jobId)?.ring();
    this.events.on("completed", ring);
    this.events.on("failed", ring);
    // One that was put on the queue before: it may have ended there.
    this.events.on("duplicated", ring);
    this.events.on("progress", ({ jobId, data }) => {
      this.bells.get(jobId)?.ring();
      const said = (name: string): unknown =>
        typeof data === "object" && data !== null ? Reflect.get(data, name) : undefined;
      const refused = said("refused");
      if (typeof refused === "string") this.tell(refused);
      // Another sweep that has the same trial takes it off for itself alone.
      if (said("leaving") === true && this.bells.has(jobId)) this.removed.add(jobId);
    });
    this.events.on("removed", ({ jobId, prev }) => {
      // By a person, with penni queue drain: what Redis has lost is not said to be removed.
      if (!this.removed.delete(jobId) && WAITING.has(prev)) this.withdrawn.add(jobId);
      this.bells.get(jobId)?.ring();
    });
  }

  async run(trial: Trial, directory: string, watch: TrialWatch): Promise<TrialOutcome> {
    const bell = new Bell();
    const jobId = jobIdOf(trial.id);
    this.bells.set(jobId, bell);
    const aborted = (): void => bell.ring();
    watch.signal.addEventListener("abort", aborted);
    try {
      const begun = await this.storing(watch.signal, bell, () => this.begin(trial, directory));
      if (begun === undefined) return { status: "paused" };
      if ("status" in begun) return begun;
      return await new Following(this, trial, directory, watch, begun, bell).outcome();
    } catch (error) {
      // What is wrong with the trial itself, as a model that is gone; anything else is a fault of this runner.
      if (!(error instanceof PenniError) || error.code === "internal") throw error;
      return { status: "failed", reason: withoutPassword(error.message, this.address), attempts: 0 };
    } finally {
      watch.signal.removeEventListener("abort", aborted);
      this.bells.delete(jobId);
    }
  }

  /** The result, if there is one already; what is to be put on the queue otherwise. */
  private async begin(trial: Trial, directory: string): Promise<TrialOutcome | Payload> {
    const found = await this.files.result(trial, directory);
    if (found !== undefined) return found;
    const document = await this.files.prepare(trial, directory);
    return { format: 1, trial: trial.id, document, versions: resultVersions(), store: this.store.id };
  }

  /** Does something with the store, again as long as that is away; undefined where the sweep is stopped meanwhile. */
  async storing<Result>(
    signal: AbortSignal,
    bell: Bell,
    work: () => Promise<Result>,
  ): Promise<Result | undefined> {
    for (;;) {
      try {
        const result = await work();
        if (this.isStoreAway) this.tell("the store is back");
        this.isStoreAway = false;
        return result;
      } catch (error) {
        const isAway = error instanceof PenniError && error.code === "io" && !(await this.store.isThere());
        if (!isAway) throw error;
        if (!this.isStoreAway) this.tell(`the store is away: waiting (${error.message})`);
        this.isStoreAway = true;
        if (signal.aborted) return undefined;
        bell.hear();
        await bell.wait(this.lookMs);
      }
    }
  }

  async close(): Promise<void> {
    await settledWithin([this.events.close(), this.queue.close()], ANSWER_MS);
    this.purpose.isOver = true;
    await settledWithin([this.events.disconnect(), this.queue.disconnect()], DISCONNECTING_MS);
  }

  get lookMs(): number {
    return this.options.lookMs ?? DEFAULT_LOOK_MS;
  }

  /** Puts a trial on the queue; one that is there already is left as it is. */
  async submit(payload: Payload): Promise<void> {
    const { attempts = DEFAULT_ATTEMPTS, backoffMs = DEFAULT_BACKOFF_MS } = this.options;
    this.withdrawn.delete(jobIdOf(payload.trial));
    await this.asked(
      this.queue.add(JOB_NAME, payload, {
        jobId: jobIdOf(payload.trial),
        attempts,
        backoff: { type: "exponential", delay: backoffMs },
        removeOnComplete: { age: KEPT_SECONDS, count: KEPT_JOBS },
        removeOnFail: { age: KEPT_SECONDS, count: KEPT_JOBS },
        stackTraceLimit: 0,
      }),
    );
  }

  async standing(payload: Payload): Promise<Standing> {
    const found = await this.asked(this.look(payload));
    return found ?? { kind: "away" };
  }

  private async look(payload: Payload): Promise<Standing> {
    const jobId = jobIdOf(payload.trial);
    // Before the job itself: what is read of one that has ended is what it has ended with.
    const state = await this.queue.getJobState(jobId);
    const job: Job | undefined = await this.queue.getJob(jobId);
    if (job === undefined) return { kind: "missing" };
    if (state === "completed")
      return {
        kind: "ended",
        worker: orDefault(job.processedBy, "unknown"),
        attempts: Math.max(1, job.attemptsMade),
      };
    if (state === "failed") return { kind: "failed", reason: job.failedReason, attempts: job.attemptsMade };
    if (state === "unknown") return { kind: "missing" };
    if (!WAITING.has(state)) return { kind: "running" };
    // Left by a sweep that was killed, with another store or another version: no worker of this one would take it. Another
    // sweep's document of the same trial says as much as ours; only where it has the model from may be another place.
    const isOurs = isDeepStrictEqual({ ...job.data, document: payload.document }, payload);
    return { kind: !isOurs && (await this.remove(payload.trial)) ? "missing" : "waiting" };
  }

  /** Takes a trial off the queue, unless a worker has it. @returns whether it is off */
  async remove(trial: string): Promise<boolean> {
    const jobId = jobIdOf(trial);
    this.removed.add(jobId);
    const removing = async (): Promise<boolean> => {
      await this.queue.updateJobProgress(jobId, { leaving: true });
      return (await this.queue.remove(jobId)) === 1;
    };
    const removed = await this.asked(removing().catch(() => false));
    if (removed !== true) this.removed.delete(jobId);
    return removed === true;
  }

  /** Makes way for another try of a trial that has failed. */
  async failed(trial: string): Promise<void> {
    this.files.forget();
    await this.remove(trial);
  }

  wasWithdrawn(trial: string): boolean {
    return this.withdrawn.has(jobIdOf(trial));
  }

  /** Undefined where Redis does not answer. */
  private async asked<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), ANSWER_MS);
    });
    let problem = "no answer";
    const answered = answer.catch((error: unknown) => {
      problem = problemOf(error);
      return undefined;
    });
    const given = await Promise.race([answered, late]);
    clearTimeout(timer);
    const isAway = given === undefined;
    if (isAway !== this.isAway)
      this.tell(`${shownAddress(this.address)} is ${isAway ? `away (${problem}): waiting` : "back"}`);
    this.isAway = isAway;
    return given;
  }

  private tell(text: string): void {
    this.options.notice?.(withoutPassword(text, this.address));
  }
}
