import { existsSync } from "node:fs";
import path from "node:path";
import { PenniError } from "../graph/errors.js";
import { summaryIn } from "../sweep/summary_file.js";
import type { Trial, TrialOutcome } from "../sweep/trial.js";
import { Publisher, placesOf, type RunPlaces, readDocument } from "./document.js";
import { readRunFile } from "./manifest.js";
import { readRecord, type StoreRecord, writeRecord } from "./records.js";
import { restore, Snapshots } from "./snapshot.js";
import type { Store } from "./store.js";

/** Brings what trials need from the sweep's directory to the store, and what they come to back. */
export class TrialFiles {
  private readonly publisher: Publisher;

  /** @param tell told of what is damaged */
  constructor(
    readonly store: Store,
    private readonly tell: (text: string) => void,
  ) {
    this.publisher = new Publisher(store);
  }

  /** Everything that a worker needs of a trial. @returns the digest of its document */
  async prepare(trial: Trial, directory: string): Promise<string> {
    const document = await this.publisher.publish(trial);
    await this.adopt(trial, document, directory);
    await this.store.removeRecord(trial.id, "request");
    return document;
  }

  /** Everything is read and published again: a worker may have found something damaged. */
  forget(): void {
    this.publisher.forget();
  }

  /**
   * The result in the store, brought into the directory.
   * @param before done as soon as it is known whether there is one, and before it is brought
   */
  async result(
    trial: Trial,
    directory: string,
    before: () => Promise<void> = async () => undefined,
  ): Promise<TrialOutcome | undefined> {
    try {
      const record = await readRecord(this.store, trial.id, "result");
      await before();
      return record === undefined ? undefined : await this.fetched(record, trial, directory);
    } catch (error) {
      if (!(error instanceof PenniError) || error.code !== "bad-file") throw error;
      this.tell(`the result of trial ${trial.number} is computed again: ${error.message}`);
      await this.store.removeRecord(trial.id, "result");
      return undefined;
    }
  }

  private async fetched(
    { manifest, versions: used, worker, attempts }: StoreRecord<"result">,
    trial: Trial,
    directory: string,
  ): Promise<TrialOutcome> {
    const bytes = await readRunFile(manifest, trial.id, this.store, "summary.json");
    const summary = summaryIn(new TextDecoder().decode(bytes));
    if (summary === undefined)
      throw new PenniError("bad-file", "its summary is none of a compression", { file: "summary.json" });
    await restore(manifest, trial.id, this.store, directory, trialPlaces(trial));
    return {
      status: "done",
      summary: { ...summary, model: path.join(directory, "model.onnx") },
      provenance: { ...used, worker, attempts },
    };
  }

  /** Brings a trial's last checkpoint into the directory, if there is one. */
  async restoreCheckpoint(trial: Trial, directory: string): Promise<void> {
    const manifest = await readRecord(this.store, trial.id, "checkpoint");
    if (manifest !== undefined) await restore(manifest, trial.id, this.store, directory, trialPlaces(trial));
  }

  /** A run that was begun here goes on there, where the store has nothing of it. */
  private async adopt({ id }: Trial, digest: string, directory: string): Promise<void> {
    if (!existsSync(path.join(directory, "config.json"))) return;
    if ((await this.store.record(id, "checkpoint")) !== undefined) return;
    const places = placesOf(await readDocument(digest, id, this.store));
    await writeRecord(
      this.store,
      id,
      "checkpoint",
      await new Snapshots(directory, id, this.store, places).take(false),
    );
  }
}

/** Where a trial's files are as the sweep names them. */
function trialPlaces({ settings }: Trial): RunPlaces {
  const { model, teacher, data } = settings;
  return {
    model: String(model),
    data: String(data),
    ...(typeof teacher === "string" && teacher.endsWith(".onnx") ? { teacher } : {}),
  };
}
