import type { Dataset } from "../data/dataset.js";
import type { RunDirectory } from "./directory.js";
import type { RunLock } from "./lock.js";
import type { Activity, TrySuffix } from "./stages/names.js";
import type { TrainingListener } from "./training/launch.js";

/** How far a stage is. */
export interface StageWork {
  /** 0 to 1. */
  readonly share: number;
  /** Undefined where it cannot be said yet. */
  readonly secondsLeft: number | undefined;
}

/** What a run tells about itself while it goes on. */
export interface RunListener extends TrainingListener {
  stage?(name: Activity): void;
  images?(what: string, done: number, total: number): void;
  /** Which times are taken next, and of how many kinds so many are done. */
  times?(what: string, done: number, total: number): void;
  /** Layers done and to do in a step, the layer that comes next, and how much of the stage's work is done. */
  layers?(what: string, done: number, total: number, layer: string, work: StageWork): void;
}

/** One way through the stages that depend on how much is pruned. */
export interface Passage {
  /** Multiply-accumulates to reach, as a fraction of the original's; undefined where none is asked for or known yet. */
  readonly fraction: number | undefined;
  /** What names of stages end with: "", or "-2" in the second try of a search. */
  readonly suffix: TrySuffix;
}

/** What every stage may use. */
export interface RunContext {
  readonly run: RunDirectory;
  readonly lock: RunLock;
  readonly dataset: Dataset;
  readonly listener: RunListener;
  readonly signal: AbortSignal | undefined;
  readonly passage: Passage;
}
