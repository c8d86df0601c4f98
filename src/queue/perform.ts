import { existsSync } from "node:fs";
import path from "node:path";
import { messageOf, PenniError } from "../graph/errors.js";
import { LineReader } from "../sweep/line_reader.js";
import { METRICS } from "../sweep/trial_epochs.js";
import { Bell } from "./bell.js";
import type { Computation, Compute, Ended } from "./computation.js";
import {
  type LocalPlaces,
  localData,
  placesOf,
  type RunPlaces,
  readDocument,
  type TrialDocument,
  unpack,
} from "./document.js";
import { type Manifest, objectsIn } from "./manifest.js";
import type { Payload, Versions } from "./payload.js";
import { sha256Of } from "./plain_files.js";
import { parsedRecord, readRecord, type StoreRecord, writeRecord } from "./records.js";
import { restore, Snapshots } from "./snapshot.js";
import type { Store } from "./store.js";
import type { WorkDirectory } from "./work_directory.js";

/** What a worker runs trials with. */
export interface Workshop {
  readonly store: Store;
  readonly work: WorkDirectory;
  readonly compute: Compute;
  readonly local: LocalPlaces;
  /** This worker's own. */
  readonly versions: Versions;
  readonly worker: string;
  /** Milliseconds between looks at a run, and at what the sweep wants of it. */
  readonly lookMs: number;
  /** Least milliseconds from one upload of a run's state to the next. */
  readonly uploadMs: number;
  readonly notice: (text: string) => void;
}

export interface Attempt {
  /** From 1. */
  readonly number: number;
  /** Told when there are new lines of metrics in the store. */
  readonly progress: () => Promise<void>;
}

/** Why this worker should end a trial: it is asked to end itself, or the queue has given the trial to another. */
export type Interruption = "leaving" | "lost";

/** "given-back": with a checkpoint, for another worker. */
export type Performed = "done" | "stopped" | "paused" | "given-back" | "lost";

/** Starts from one place after which a trial is taken for what kills its worker. */
const MOST_STARTS = 10;
/** From an upload to the record that names it, of another worker that has the same trial. */
const GRACE_MS = 30_000;
const OUTCOMES = {
  stop: "stopped",
  pause: "paused",
  leaving: "given-back",
  lost: "lost",
} as const satisfies Record<string, Performed>;

type Reason = keyof typeof OUTCOMES;

/**
 * Runs a trial in a process of its own, or goes on with it from its last checkpoint in the store, and brings its
 * checkpoints and its result there.
 * @param interrupted aborted with an `Interruption` as its reason
 * @throws PenniError that says why the trial has failed here
 */
export async function perform(
  { trial, document: digest }: Payload,
  attempt: Attempt,
  workshop: Workshop,
  interrupted: AbortSignal,
): Promise<Performed> {
  const { store } = workshop;
  // Another delivery of the same trial has come to its end.
  if ((await readRecord(store, trial, "result")) !== undefined) return "done";
  const document = await readDocument(digest, trial, store);
  const folder = workshop.work.folder(trial);
  try {
    return await new Performance(document, attempt, workshop, folder).run(interrupted);
  } finally {
    workshop.work.discard(folder);
  }
}

class Performance {
  private readonly trial: string;
  private readonly directory: string;
  private readonly snapshots: Snapshots;
  private readonly places: RunPlaces;
  private readonly metrics: LineReader;
  private lines = "";
  /** Whether there are lines that the store does not have, as it may be away for a while. */
  private untold = false;
  /** What did not work, and was said. */
  private readonly troubles = new Set<string>();
  /** When by `performance.now()`: a clock that is set back would keep checkpoints from the store for as long. */
  private uploaded = { state: "", at: Number.NEGATIVE_INFINITY };

  constructor(
    private readonly document: TrialDocument,
    private readonly attempt: Attempt,
    private readonly workshop: Workshop,
    private readonly folder: string,
  ) {
    this.trial = document.trial;
    this.directory = path.join(folder, "run");
    this.places = placesOf(document);
    this.snapshots = new Snapshots(this.directory, this.trial, workshop.store, this.places);
    this.metrics = new LineReader(path.join(this.directory, METRICS));
  }

  async run(interrupted: AbortSignal): Promise<Performed> {
    const words = await this.prepare();
    const computation = this.workshop.compute(words, this.folder);
    const killed = (): void => {
      if (interrupted.reason === "lost") computation.kill();
    };
    interrupted.addEventListener("abort", killed, { once: true });
    try {
      const reason = await this.watch(computation, interrupted);
      const ended = await computation.ended;
      // However it has ended, this worker has survived it.
      await this.quietly(() => this.workshop.store.removeRecord(this.trial, "starts"));
      await this.tellProgress();
      return await this.conclude(ended, reason);
    } finally {
      interrupted.removeEventListener("abort", killed);
      computation.kill();
    }
  }

  /** Puts everything in its place; the words of the command line. */
  private async prepare(): Promise<readonly string[]> {
    const { store, local } = this.workshop;
    const checkpoint = await this.checkpoint();
    await this.countStart(checkpoint === undefined ? null : sha256Of(checkpoint));
    const config = await unpack(this.document, path.join(this.folder, "inputs"), store, local);
    if (checkpoint !== undefined && (await this.restored(checkpoint))) {
      this.uploaded = { state: this.snapshots.state(), at: performance.now() };
      return ["compress", "--resume", this.directory, "--quiet"];
    }
    return ["compress", "--config", config, "-o", this.directory, "--quiet"];
  }

  private async checkpoint(): Promise<Uint8Array | undefined> {
    try {
      return await this.workshop.store.record(this.trial, "checkpoint");
    } catch (error) {
      return await this.beginsAgain(error);
    }
  }

  private async restored(checkpoint: Uint8Array): Promise<boolean> {
    const { store, local } = this.workshop;
    const data = await localData(this.document, local);
    try {
      const manifest = parsedRecord(checkpoint, "checkpoint");
      await restore(manifest, this.trial, store, this.directory, { ...this.places, data });
      return true;
    } catch (error) {
      await this.beginsAgain(error);
      return false;
    }
  }

  /** A checkpoint that is damaged or not all there is no reason never to come to an end. @throws any other error */
  private async beginsAgain(error: unknown): Promise<undefined> {
    if (!(error instanceof PenniError) || error.code !== "bad-file") throw error;
    this.workshop.notice(`the trial begins again: ${error.message}`);
    await this.workshop.store.removeRecord(this.trial, "checkpoint");
  }

  /** @param checkpoint its digest; null without one */
  private async countStart(checkpoint: string | null): Promise<void> {
    const { store } = this.workshop;
    const before = await readRecord(store, this.trial, "starts");
    const count = before?.checkpoint === checkpoint ? before.count + 1 : 1;
    if (count > MOST_STARTS)
      throw new PenniError("training", "the trial has ended its workers each time that it was started", {
        found: `${before?.count} starts from the same checkpoint`,
        advice: "It may need more memory than the workers have",
      });
    await writeRecord(store, this.trial, "starts", { format: 1, checkpoint, count });
  }

  /** Follows the run until it ends; why it was asked to, if it was. */
  private async watch(computation: Computation, interrupted: AbortSignal): Promise<Reason | undefined> {
    let reason: Reason | undefined;
    let hasEnded = false;
    const bell = new Bell();
    void computation.ended.then(() => {
      hasEnded = true;
      bell.ring();
    });
    interrupted.addEventListener("abort", () => bell.ring(), { once: true });
    if (interrupted.aborted) bell.ring();
    for (;;) {
      await bell.wait(this.workshop.lookMs);
      bell.hear();
      if (hasEnded) break;
      const wanted = reason ?? (await this.wanted(interrupted));
      if (reason === undefined && wanted !== undefined) computation.stop();
      reason = wanted;
      await this.quietly(() => this.tellProgress());
      if (reason !== "lost") await this.quietly(() => this.upload());
    }
    return reason ?? (interrupted.aborted && interrupted.reason === "lost" ? "lost" : undefined);
  }

  private async wanted(interrupted: AbortSignal): Promise<Reason | undefined> {
    if (interrupted.aborted) return interrupted.reason === "lost" ? "lost" : "leaving";
    let record: StoreRecord<"request"> | undefined;
    await this.quietly(async () => {
      record = await readRecord(this.workshop.store, this.trial, "request");
    });
    return record?.ask;
  }

  /** A store that is away for a while is no reason to end a trial that goes on without it; that is said once. */
  private async quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // Files differ, as temporary ones have names of their own.
      const trouble = error instanceof PenniError ? error.problem : messageOf(error);
      if (!this.troubles.has(trouble)) this.workshop.notice(messageOf(error));
      this.troubles.add(trouble);
    }
  }

  /** Brings the run's state to the store where it has changed. */
  private async upload(): Promise<void> {
    const { uploadMs } = this.workshop;
    if (!existsSync(path.join(this.directory, "config.json"))) return;
    if (performance.now() - this.uploaded.at < uploadMs) return;
    const state = this.snapshots.state();
    if (state === this.uploaded.state) return;
    // Where it fails it is not tried more often either: it may read and write a lot before.
    this.uploaded = { ...this.uploaded, at: performance.now() };
    await this.keep(await this.snapshots.take(false));
    this.uploaded = { state, at: performance.now() };
  }

  /** What was replaced is not kept; of another worker's result everything is. */
  private async keep(manifest: Manifest): Promise<void> {
    const { store } = this.workshop;
    await writeRecord(store, this.trial, "checkpoint", manifest);
    if ((await store.record(this.trial, "result")) !== undefined) return;
    await store.prune(this.trial, objectsIn(manifest), GRACE_MS);
  }

  private async tellProgress(): Promise<void> {
    const news = await this.metrics.news();
    if (news.length > 0) this.untold = true;
    this.lines += news.map((line) => `${line}\n`).join("");
    if (!this.untold) return;
    await this.workshop.store.setRecord(this.trial, "metrics", this.lines);
    this.untold = false;
    await this.attempt.progress();
  }

  private async conclude({ status, signal, said }: Ended, reason: Reason | undefined): Promise<Performed> {
    if (status === 0 && existsSync(path.join(this.directory, "summary.json"))) return this.deliver();
    // The signal itself ends it as long as it has only begun.
    const isStopped = status === 143 || status === 130 || signal === "SIGTERM";
    if (reason !== undefined && (reason === "lost" || isStopped)) {
      // As far as it came: it may have been stopped before it began.
      if (reason !== "lost" && existsSync(path.join(this.directory, "config.json")))
        await this.keep(await this.snapshots.take(false));
      return OUTCOMES[reason];
    }
    const how = signal === null ? `exit status ${status}` : `signal ${signal}`;
    throw new PenniError("training", said === "" ? "the trial's process ended unexpectedly" : said, {
      found: how,
    });
  }

  /** Brings the result to the store; where another worker was first, its result is the trial's. */
  private async deliver(): Promise<Performed> {
    const { store, versions, worker } = this.workshop;
    const manifest = await this.snapshots.take(true);
    const result = {
      format: 1,
      trial: this.trial,
      manifest,
      versions,
      worker,
      attempts: this.attempt.number,
    } satisfies StoreRecord<"result">;
    if (!(await store.setFirstRecord(this.trial, "result", JSON.stringify(result)))) return "done";
    await store.removeRecord(this.trial, "checkpoint");
    await store.prune(this.trial, objectsIn(manifest), 0);
    return "done";
  }
}
