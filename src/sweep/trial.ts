import type { Summary } from "../run/summary.js";

/** What an axis of a sweep gives a setting. */
export type AxisValue = string | number | boolean;

/** One run of a sweep: what is to be computed, not where. */
export interface Trial {
  /**
   * SHA-256, 64 hexadecimal digits, of everything that decides the result: the settings, the bytes of the model and of
   * other files that they name, the specification of the data and its digest, the versions of Penni and ONNX Runtime that
   * the sweep asks for. Two trials with one id have one result.
   */
  readonly id: string;
  /** Place in the sweep, from 0. */
  readonly number: number;
  /** What the axes gave, as the table shows it. */
  readonly values: Readonly<Record<string, AxisValue>>;
  /** Settings of `penni compress`, as under `compress` in a configuration file, without `out`; paths are absolute. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A line of a trial's `metrics.jsonl`, as it appears. */
export interface TrialEpoch {
  readonly stage: string;
  readonly epoch: number;
  /** Fraction of held-out images that are right, where there are labels. */
  readonly validation?: number;
  readonly loss: number;
}

/** What a runner asks and tells while a trial goes on. */
export interface TrialWatch {
  /** Stops the trial with a checkpoint: its outcome is "paused". */
  readonly signal: AbortSignal;
  /**
   * Called for each epoch, in order, from the trial's first one on: of a trial that goes on, those of earlier attempts are
   * told again, before anything is computed; "stop" ends the trial with a checkpoint, and its outcome is "stopped".
   */
  onEpoch(epoch: TrialEpoch): "go-on" | "stop";
}

/** How a trial ended. */
export type TrialOutcome =
  | { readonly status: "done"; readonly summary: Summary; readonly provenance: TrialProvenance }
  /** Fell behind and was stopped; goes on from its checkpoint when it is run again. */
  | { readonly status: "stopped"; readonly provenance: TrialProvenance }
  /** The sweep was stopped; goes on from its checkpoint when it is run again. */
  | { readonly status: "paused" }
  | {
      readonly status: "failed";
      readonly reason: string;
      /** 0 for a trial that could not even be begun, as without its model. */
      readonly attempts: number;
    };

/** What computed a trial. */
export interface TrialProvenance {
  readonly penni: string;
  readonly onnxruntime: string;
  /** Name of the worker; "embedded" for a child process of the sweep. */
  readonly worker: string;
  readonly attempts: number;
}

/** Where trials are computed: child processes of this one, or a queue. */
export interface TrialRunner {
  /** How many trials it takes at a time. */
  readonly places: number;
  /**
   * Runs a trial, or goes on with it, until it has an outcome. Rejects only if the runner itself is at fault.
   * @param directory the trial's run directory as the sweep knows it; holds the whole run when the outcome is "done"
   */
  run(trial: Trial, directory: string, watch: TrialWatch): Promise<TrialOutcome>;
  close(): Promise<void>;
}
