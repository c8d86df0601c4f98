import { gridSize, type SweepSpec } from "./spec.js";
import type { SweepState } from "./state.js";

/** How far a sweep is, in trials. */
export interface Progress {
  readonly all: number;
  readonly done: number;
  /** Fell behind. */
  readonly stopped: number;
  readonly failed: number;
  /** Begun and not ended. */
  readonly begun: number;
  /** Not begun. */
  readonly left: number;
}

/** How many trials a sweep has in the end. */
export function trialCount({ axes, search }: SweepSpec): number {
  return search.kind === "grid" ? gridSize(axes) : search.trials;
}

export function progressOf(spec: SweepSpec, state: SweepState): Progress {
  const all = trialCount(spec);
  const count = { done: 0, stopped: 0, failed: 0, begun: 0 };
  for (const { status, wasStarted } of state) {
    if (status !== "waiting") count[status]++;
    else if (wasStarted) count.begun++;
  }
  return { all, ...count, left: all - count.done - count.stopped - count.failed - count.begun };
}

/**
 * "3 of 24 trials are done, 1 fell behind, 20 to come"
 * @param begun what those are that were begun and have not ended
 */
export function describeProgress(progress: Progress, begun: "paused" | "running"): string {
  const { all, done, stopped, failed, left } = progress;
  const others = [
    [stopped, "fell behind"],
    [failed, "failed"],
    [progress.begun, begun],
    [left, "to come"],
  ] as const;
  const parts = others.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]));
  return [`${done} of ${all} trials ${done === 1 ? "is" : "are"} done`, ...parts].join(", ");
}
