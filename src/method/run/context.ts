import type { Dataset } from "../../data/dataset.js";
import type { TrainingListener } from "../training/launch.js";
import type { RunDirectory } from "./directory.js";
import type { RunLock } from "./lock.js";

export type StageName =
  | "simplify"
  | "normalize"
  | "decompose"
  | "retrain"
  | "prune"
  | "fine-tune"
  | "shrink"
  | "export"
  | "measure";

/** What a run tells about itself while it goes on. */
export interface RunListener extends TrainingListener {
  stage?(name: StageName): void;
  images?(what: string, done: number, total: number): void;
  /** Layers done and to do in a step, and the layer that comes next. */
  layers?(what: string, done: number, total: number, layer: string): void;
}

/** What every stage may use. */
export interface RunContext {
  readonly run: RunDirectory;
  readonly lock: RunLock;
  readonly dataset: Dataset;
  readonly listener: RunListener;
  readonly signal: AbortSignal | undefined;
}
