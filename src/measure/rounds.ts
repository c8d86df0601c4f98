import { type Interval, medianInterval } from "./interval.js";
import { median } from "./median.js";

/** What was measured in rounds: the median of all runs, and how far the rounds are apart. */
export interface Spread {
  readonly medianMs: number;
  readonly minMs: number;
  /** Where the median lies with 95 % confidence, by the medians of the rounds. */
  readonly lowMs: number;
  readonly highMs: number;
  readonly runs: number;
  /** The median of each round. */
  readonly roundsMs: readonly number[];
}

/** @param rounds milliseconds of each run, round by round */
export function spreadOf(rounds: readonly (readonly number[])[]): Spread {
  const roundsMs = rounds.map(median);
  const all = rounds.flat();
  const { low, high }: Interval = medianInterval(roundsMs);
  return {
    medianMs: median(roundsMs),
    minMs: Math.min(...all),
    lowMs: low,
    highMs: high,
    runs: all.length,
    roundsMs,
  };
}
