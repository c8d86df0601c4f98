import type { Contender } from "../../../src/measure/by_turns.js";

/** Browsers tell the time in steps of 0.1 ms, or of a whole one: runs between two looks at the clock take so long. */
const LEAST_MS = 5;
const MOST_RUNS = 512;

/** `timed` for a clock of coarse steps: each run takes what its group took on average. */
export function timedInGroups(run: () => void): Contender["sample"] {
  const groups = new Groups();
  return (count) => {
    const times: number[] = [];
    while (times.length < count) {
      const { size } = groups;
      const started = performance.now();
      for (let done = 0; done < size; done++) run();
      times.push(...groups.shares(performance.now() - started));
    }
    return times;
  };
}

/** The same for a function that returns a promise. */
export function timedAsyncInGroups(run: () => Promise<unknown>): Contender["sample"] {
  const groups = new Groups();
  return async (count) => {
    const times: number[] = [];
    while (times.length < count) {
      const { size } = groups;
      const started = performance.now();
      for (let done = 0; done < size; done++) await run();
      times.push(...groups.shares(performance.now() - started));
    }
    return times;
  };
}

/** How many runs are timed together: more as long as they take too little time. */
class Groups {
  size = 1;

  /** The time of each run of a group. */
  shares(took: number): readonly number[] {
    const shares = new Array<number>(this.size).fill(took / this.size);
    if (took < LEAST_MS) this.size = Math.min(MOST_RUNS, 2 * this.size);
    return shares;
  }
}
