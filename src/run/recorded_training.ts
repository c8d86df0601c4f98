import { readModel } from "../files/model_files.js";
import type { Graph } from "../graph/types.js";
import type { EpochMetrics, EpochTiming, TrainingPlan } from "../train/plan.js";
import type { RunDirectory } from "./directory.js";
import type { RunLock } from "./lock.js";
import { runTraining, type TrainingListener } from "./training/launch.js";

/** The run that a training is a stage of. */
export interface RecordingContext {
  readonly run: Pick<RunDirectory, "appendMetrics" | "appendTiming">;
  readonly lock: RunLock;
  readonly listener: TrainingListener;
  readonly signal: AbortSignal | undefined;
}

/** The trained network; each epoch's metrics are appended to the run's, in order, before anybody goes on. */
export async function recordedTraining(
  plan: TrainingPlan,
  { run, lock, listener, signal }: RecordingContext,
): Promise<Graph> {
  let written: Promise<void> = Promise.resolve();
  const append = (write: () => Promise<void>): void => {
    written = written.then(write);
    // A failure is thrown below, when the stage ends; until then nobody waits for it.
    written.catch(() => undefined);
  };
  const epoch = (metrics: EpochMetrics): void => {
    append(() => run.appendMetrics(metrics));
    listener.epoch?.(metrics);
  };
  const timing = (taken: EpochTiming): void => {
    append(() => run.appendTiming(taken));
    listener.timing?.(taken);
  };
  try {
    // Also where the result is there already: the epochs in its checkpoint may not all be in the metrics.
    await runTraining(plan, { ...listener, epoch, timing, started: (pid) => lock.cover(pid) }, signal);
  } finally {
    await written;
  }
  return readModel(plan.result);
}
