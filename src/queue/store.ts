/**
 * What a trial has of its own in the store, each leading to an object: its last checkpoint (a run's files), its result,
 * the lines of its `metrics.jsonl`, what the sweep asks of it, and how often it was started from where it is.
 */
export const pointerNames = ["checkpoint", "result", "metrics", "request", "starts"] as const;

export type PointerName = (typeof pointerNames)[number];

/** A file in the store. */
export interface StoredFile {
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Where models, configurations, checkpoints and results travel: objects by the SHA-256 of their content, which is
 * checked at every read, and for each trial a few pointers to some. Objects are shared (models and configurations), or
 * belong to a trial, which replaces them as it goes on. Everything in here can be done by a bucket as well.
 */
export interface Store {
  /** Whether it can be reached. */
  isThere(): Promise<boolean>;
  /** @param trial the trial whose object it is; absent for shared ones */
  put(content: Uint8Array | string, trial?: string): Promise<string>;
  putFile(file: string, trial?: string): Promise<StoredFile>;
  /** Whether there is a shared object of that name, whatever is in it. */
  has(sha256: string): Promise<boolean>;
  /**
   * The content of an object, of the trial or else shared.
   * @throws PenniError "io" if the store cannot be read, "bad-file" if it has no such object, or not what its name says
   */
  read(sha256: string, trial?: string): Promise<Uint8Array>;
  /** The same into a file that is not there yet. */
  fetch(sha256: string, file: string, trial?: string): Promise<void>;
  /** The object that a pointer leads to. */
  pointed(trial: string, name: PointerName): Promise<string | undefined>;
  point(trial: string, name: PointerName, sha256: string): Promise<void>;
  /** Sets a pointer that is not there yet. @returns what it leads to now: somebody may have been first */
  pointFirst(trial: string, name: PointerName, sha256: string): Promise<string>;
  unpoint(trial: string, name: PointerName): Promise<void>;
  /**
   * Removes the trial's objects but these.
   * @param graceMs milliseconds for which an object stays anyway: a pointer to it may be about to be set
   */
  prune(trial: string, kept: ReadonlySet<string>, graceMs: number): Promise<void>;
}
