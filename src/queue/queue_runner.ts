import { existsSync } from "node:fs";
import path from "node:path";
import type { Job, Queue, QueueEvents } from "bullmq";
import { at, orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Summary } from "../run/summary.js";
import { resultVersions } from "../sweep/provenance.js";
import type { Trial, TrialOutcome, TrialRunner, TrialWatch } from "../sweep/trial.js";
import { epochOf } from "../sweep/trial_epochs.js";
import { type QueueAddress, queueAddress, shownAddress, withoutPassword } from "./address.js";
import { Bell } from "./bell.js";
import { DirectoryStore } from "./directory_store.js";
import { Publisher, parsedJson, placesOf, readDocument } from "./document.js";
import { checkServer, connectionOptions, KEY_PREFIX, loadBullMq, QUEUE_NAME } from "./libraries.js";
import { JOB_NAME, jobIdOf, type Payload } from "./payload.js";
import { readRecord, type StoreRecord, writeRecord } from "./records.js";
import { readRunFile, restore, Snapshots } from "./snapshot.js";
import type { Store } from "./store.js";

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
/** A worker that was asked to end a trial has that long to write its checkpoint. */
const PAUSING_MS = 120_000;
/** The news that a job was taken off come after the fact. */
const REMOVAL_MS = 1000;

/**
 * Runs trials on the workers of a queue.
 * @throws PenniError "bad-option" for the address, "unsupported" without the packages, "io" if queue or store are not
 *   there
 */
export async function openQueueRunner(options: QueueRunnerOptions): Promise<TrialRunner> {
  const address = queueAddress(options.url);
  const library = await loadBullMq();
  await checkServer(address);
  const store = await DirectoryStore.create(options.store);
  return new QueueRunner(library, address, store, options);
}

/** Where a trial on the queue stands. */
type Standing =
  | { readonly kind: "away" | "missing" | "waiting" | "running" }
  /** A worker has come to its end with it, whatever that is. */
  | { readonly kind: "ended"; readonly worker: string; readonly attempts: number }
  | { readonly kind: "failed"; readonly reason: string; readonly attempts: number };

/** States of jobs that nobody works on. */
const WAITING: ReadonlySet<string> = new Set(["waiting", "delayed", "prioritized", "paused", "wait"]);

class QueueRunner implements TrialRunner {
  readonly places: number;
  private readonly queue: Queue;
  private readonly events: QueueEvents;
  private readonly bells = new Map<string, Bell>();
  private readonly withdrawn = new Set<string>();
  /** Jobs that this runner itself has taken off, of which it has not been told yet. */
  private readonly removed = new Set<string>();
  private readonly publisher: Publisher;
  private isAway = false;
  private isStoreAway = false;

  constructor(
    library: Awaited<ReturnType<typeof loadBullMq>>,
    private readonly address: QueueAddress,
    private readonly store: Store,
    private readonly options: QueueRunnerOptions,
  ) {
    this.publisher = new Publisher(store);
    this.places = options.places ?? DEFAULT_PLACES;
    const connection = { connection: connectionOptions(address), prefix: KEY_PREFIX };
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

  private listen(): void {
    const ring = ({ jobId }: { readonly jobId: string }): void => this.bells.get(jobId)?.ring();
    this.events.on("completed", ring);
    this.events.on("failed", ring);
    this.events.on("progress", ({ jobId, data }) => {
      this.bells.get(jobId)?.ring();
      const refused: unknown =
        typeof data === "object" && data !== null ? Reflect.get(data, "refused") : undefined;
      if (typeof refused === "string") this.tell(refused);
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
    const found = await this.result(trial, directory);
    if (found !== undefined) return found;
    const document = await this.publisher.publish(trial);
    await this.adopt(trial.id, document, directory);
    await this.store.unpoint(trial.id, "request");
    return { format: 1, trial: trial.id, document, versions: resultVersions() };
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
    await Promise.race([
      Promise.allSettled([this.events.close(), this.queue.close()]),
      new Promise((resolve) => setTimeout(resolve, ANSWER_MS).unref()),
    ]);
    await Promise.allSettled([this.events.disconnect(), this.queue.disconnect()]);
  }

  get lookMs(): number {
    return this.options.lookMs ?? DEFAULT_LOOK_MS;
  }

  get data(): Store {
    return this.store;
  }

  /** The result in the store, brought into the directory. */
  async result(trial: Trial, directory: string): Promise<TrialOutcome | undefined> {
    try {
      const record = await readRecord(this.store, trial.id, "result");
      return record === undefined ? undefined : await this.fetched(record, trial, directory);
    } catch (error) {
      if (!(error instanceof PenniError) || error.code !== "bad-file") throw error;
      this.tell(`the result of trial ${trial.number} is computed again: ${error.message}`);
      await this.store.unpoint(trial.id, "result");
      return undefined;
    }
  }

  private async fetched(
    { manifest, versions: used, worker, attempts }: StoreRecord<"result">,
    trial: Trial,
    directory: string,
  ): Promise<TrialOutcome> {
    const bytes = await readRunFile(manifest, trial.id, this.store, "summary.json");
    // Written by the same version as this, and read by its digest.
    const summary = parsedJson(bytes) as Summary;
    await restore(manifest, trial.id, this.store, directory, trialPlaces(trial));
    return {
      status: "done",
      summary: { ...summary, model: path.join(directory, "model.onnx") },
      provenance: { ...used, worker, attempts },
    };
  }

  /** A run that was begun here goes on there, where the store has nothing of it. */
  private async adopt(trial: string, digest: string, directory: string): Promise<void> {
    if (!existsSync(path.join(directory, "config.json"))) return;
    if ((await this.store.pointed(trial, "checkpoint")) !== undefined) return;
    const places = placesOf(await readDocument(digest, trial, this.store));
    const { manifest } = await new Snapshots(directory, trial, this.store, places).take(false);
    await this.store.point(trial, "checkpoint", manifest);
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

  async standing(trial: string): Promise<Standing> {
    const found = await this.asked(this.look(jobIdOf(trial)));
    return found ?? { kind: "away" };
  }

  private async look(jobId: string): Promise<Standing> {
    const job: Job | undefined = await this.queue.getJob(jobId);
    if (job === undefined) return { kind: "missing" };
    const state = await job.getState();
    if (state === "completed")
      return {
        kind: "ended",
        worker: orDefault(job.processedBy, "unknown"),
        attempts: Math.max(1, job.attemptsMade),
      };
    if (state === "failed") return { kind: "failed", reason: job.failedReason, attempts: job.attemptsMade };
    if (state === "unknown") return { kind: "missing" };
    return { kind: WAITING.has(state) ? "waiting" : "running" };
  }

  /** Takes a trial off the queue, unless a worker has it. @returns whether it is off */
  async remove(trial: string): Promise<boolean> {
    const jobId = jobIdOf(trial);
    this.removed.add(jobId);
    const removed = await this.asked(
      this.queue.remove(jobId).then(
        (count) => count === 1,
        () => false,
      ),
    );
    if (removed !== true) this.removed.delete(jobId);
    return removed === true;
  }

  /** Makes way for another try of a trial that has failed. */
  async failed(trial: string): Promise<void> {
    this.publisher.forget();
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
      problem = error instanceof Error ? error.message : String(error);
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

/** One trial on its way through the queue. */
class Following {
  private seen = 0;
  private asked: "stop" | "pause" | undefined;
  private askedAt = 0;
  /** Whether it was on the queue when it was looked for last. */
  private isQueued = false;

  constructor(
    private readonly runner: QueueRunner,
    private readonly trial: Trial,
    private readonly directory: string,
    private readonly watch: TrialWatch,
    private readonly payload: Payload,
    private readonly bell: Bell,
  ) {}

  async outcome(): Promise<TrialOutcome> {
    const { runner, bell, watch } = this;
    for (;;) {
      bell.hear();
      const stepped = await runner.storing(watch.signal, bell, async () => ({ ended: await this.step() }));
      if (stepped === undefined) return { status: "paused" };
      if (stepped.ended !== undefined) return stepped.ended;
      await bell.wait(runner.lookMs);
    }
  }

  private async step(): Promise<TrialOutcome | undefined> {
    const { runner, trial, directory, watch } = this;
    const standing = await runner.standing(trial.id);
    await this.readEpochs();
    const found = await runner.result(trial, directory);
    if (found !== undefined) return found;
    if (watch.signal.aborted && this.asked !== "pause") await this.ask("pause");
    const wasQueued = this.isQueued;
    if (standing.kind !== "away") this.isQueued = standing.kind !== "missing";
    switch (standing.kind) {
      case "away":
        return this.overdue();
      case "missing":
        if (this.asked !== undefined) return this.halted(OUTCOME[this.asked]);
        // If somebody has taken it off, that is about to be told.
        if (wasQueued) await this.bell.wait(REMOVAL_MS);
        if (wasQueued && runner.wasWithdrawn(trial.id)) return this.halted("paused");
        await this.submit();
        return undefined;
      case "waiting":
        if (this.asked === undefined) return undefined;
        return (await runner.remove(trial.id)) ? this.halted(OUTCOME[this.asked]) : this.overdue();
      case "running":
        return this.overdue();
      case "failed":
        await runner.failed(trial.id);
        return { status: "failed", reason: standing.reason, attempts: standing.attempts };
      case "ended":
        await runner.remove(trial.id);
        if (this.asked !== undefined) return this.halted(OUTCOME[this.asked], standing);
        // Nobody here asked for its end, or its result is gone: it goes on.
        await runner.data.unpoint(trial.id, "request");
        await this.submit();
        return undefined;
    }
  }

  private async submit(): Promise<void> {
    await this.runner.submit(this.payload);
    this.isQueued = true;
  }

  private async ask(ask: "stop" | "pause"): Promise<void> {
    this.asked = ask;
    this.askedAt = Date.now();
    await writeRecord(this.runner.data, this.trial.id, "request", { format: 1, ask });
  }

  /** A worker that does not answer writes what it has into the store, from where the trial goes on. */
  private async overdue(): Promise<TrialOutcome | undefined> {
    if (this.asked === undefined || Date.now() - this.askedAt < PAUSING_MS) return undefined;
    return this.halted(OUTCOME[this.asked]);
  }

  /** The run as far as it came is brought here, so that it can go on from here. */
  private async halted(
    status: "paused" | "stopped",
    { worker, attempts }: { readonly worker: string; readonly attempts: number } = NOBODY,
  ): Promise<TrialOutcome> {
    const { runner, trial, directory } = this;
    const checkpoint = await runner.data.pointed(trial.id, "checkpoint");
    if (checkpoint !== undefined)
      await restore(checkpoint, trial.id, runner.data, directory, trialPlaces(trial));
    if (status === "paused") return { status };
    return { status, provenance: { ...resultVersions(), worker, attempts } };
  }

  private async readEpochs(): Promise<void> {
    const { data } = this.runner;
    const sha256 = await data.pointed(this.trial.id, "metrics");
    if (sha256 === undefined) return;
    // It may just have been replaced: the next look finds the new one.
    const bytes = await data.read(sha256, this.trial.id).catch(() => undefined);
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
const NOBODY = { worker: "none", attempts: 1 };

const OUTCOME = { stop: "stopped", pause: "paused" } as const;

/** Where a trial's files are as the sweep names them. */
function trialPlaces({ settings }: Trial) {
  const { model, teacher, data } = settings;
  return {
    model: String(model),
    data: String(data),
    ...(typeof teacher === "string" && teacher.endsWith(".onnx") ? { teacher } : {}),
  };
}
