/**
 * What a trial has of its own in the store, each in one file: its last checkpoint and its result (a run's files), the
 * lines of its `metrics.jsonl`, what the sweep asks of it, and how often it was started from where it is.
 */
export const recordNames = ["checkpoint", "result", "metrics", "request", "starts"] as const;

export type RecordName = (typeof recordNames)[number];

/** Records that must be there after a power cut; the others are written again, or asked for again, by those who live. */
export const lasting: Readonly<Record<RecordName, boolean>> = {
  checkpoint: true,
  result: true,
  metrics: false,
  request: false,
  starts: false,
};

/** A file in the store. */
export interface StoredFile {
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Where models, configurations, checkpoints and results travel: objects by the SHA-256 of their content, which is
 * checked at every read, and for each trial a few records, which hold their digest themselves. Objects are shared (models
 * and configurations), or belong to a trial, which replaces them as it goes on. Everything in here can be done by a bucket
 * as well.
 */
export interface Store {
  /** By which sweeps and workers know that they have the same one, whatever it is called on their machines. */
  readonly id: string;
  /** Whether it can be reached. */
  isThere(): Promise<boolean>;
  /** @param trial the trial whose object it is; absent for shared ones */
  put(content: Uint8Array | string, trial?: string): Promise<string>;
  putFile(file: string, trial?: string): Promise<StoredFile>;
  /** Whether there is an object of that name, of the trial or else shared, whatever is in it. */
  has(sha256: string, trial?: string): Promise<boolean>;
  /**
   * The content of an object, of the trial or else shared.
   * @throws PenniError "io" if the store cannot be read, "bad-file" if it has no such object, or not what its name says
   */
  read(sha256: string, trial?: string): Promise<Uint8Array>;
  /** The same into a file that is not there yet. */
  fetch(sha256: string, file: string, trial?: string): Promise<void>;
  /**
   * What a record of a trial says; undefined where there is none, or one that need not last is damaged.
   * @throws PenniError "io" if the store cannot be read, "bad-file" if a lasting record is damaged
   */
  record(trial: string, name: RecordName): Promise<Uint8Array | undefined>;
  setRecord(trial: string, name: RecordName, content: string): Promise<void>;
  /** Sets a record that is not there yet. @returns whether it was this one: somebody may have been first */
  setFirstRecord(trial: string, name: RecordName, content: string): Promise<boolean>;
  removeRecord(trial: string, name: RecordName): Promise<void>;
  /**
   * Removes the trial's objects but these.
   * @param graceMs milliseconds for which an object stays anyway: a record that names it may be about to be set
   */
  prune(trial: string, kept: ReadonlySet<string>, graceMs: number): Promise<void>;
}
