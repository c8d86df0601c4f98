import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { TrialRunner } from "../sweep/trial.js";
import { MOST_JOBS } from "./options.js";

/** Options that say where trials are computed. */
export interface RunnerOptions {
  /** Trials at a time: on this machine (1), or in the queue (as many as its runner takes). */
  readonly jobs?: number;
  /** Address of a queue, whose workers compute them; default: the environment's, where there is a store. */
  readonly queue?: string;
  /** Directory that all workers see. */
  readonly store?: string;
  /** Seconds for which a queue that is not there yet is waited for; default: until it is. */
  readonly wait?: number;
}

/**
 * What computes the trials of a sweep: child processes of this one, or the workers of a queue.
 * @param notice told of what a person should know of the queue
 * @returns what opens it, and waits for the queue; what is wrong with the options is said before
 */
export async function runnerFor(
  { jobs, queue, store, wait = Number.POSITIVE_INFINITY }: RunnerOptions,
  notice: (text: string) => void,
): Promise<() => Promise<TrialRunner>> {
  if (queue === undefined && store === undefined) {
    if (jobs !== undefined && jobs > MOST_JOBS)
      throw new PenniError("bad-option", "--jobs is more than one machine can be asked to run at a time", {
        expected: `at most ${MOST_JOBS}`,
        found: `${jobs}`,
      });
    const { EmbeddedRunner } = await import("../sweep/embedded.js");
    const program = new URL("./trial_process.js", import.meta.url);
    return async () => new EmbeddedRunner({ jobs: orDefault(jobs, 1), program });
  }
  if (store === undefined) {
    throw new PenniError("bad-option", "models and results have no way to the workers of the queue", {
      expected: "--store DIR, a directory that they see, too",
    });
  }
  const [{ openQueueRunner }, { queueAddress }] = await Promise.all([
    import("../queue/queue_runner.js"),
    import("../queue/address.js"),
  ]);
  queueAddress(queue);
  return () =>
    openQueueRunner({
      store,
      notice,
      waitMs: 1000 * wait,
      ...(queue === undefined ? {} : { url: queue }),
      ...(jobs === undefined ? {} : { places: jobs }),
    });
}
