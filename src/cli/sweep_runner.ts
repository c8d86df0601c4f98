import type { TrialRunner } from "../sweep/trial.js";

/** Options that say where trials are computed. */
export interface RunnerOptions {
  /** Trials at a time on this machine. */
  readonly jobs: number;
}

/** What computes the trials of a sweep. */
export async function runnerFor({ jobs }: RunnerOptions): Promise<TrialRunner> {
  const { EmbeddedRunner } = await import("../sweep/embedded.js");
  return new EmbeddedRunner({ jobs, program: new URL("./trial_process.js", import.meta.url) });
}
