import { at } from "../../graph/at.js";
/** Consecutive items, `first` and `end` (one more than the last) being their positions. */
export interface Run {
  readonly first: number;
  readonly end: number;
}

/**
 * Divides 0 .. count - 1 into at most `most` runs of consecutive items so that their costs add up to the least.
 * Dynamic programming over the last run: count² calls of `cost`, each run once.
 */
export function partition(count: number, most: number, cost: (run: Run) => number): readonly Run[] {
  const costs = Array.from({ length: count }, (_, first) =>
    Array.from({ length: count - first }, (_, extra) => cost({ first, end: first + extra + 1 })),
  );
  let best: readonly Division[] = Array.from({ length: count + 1 }, (_, end) =>
    end === 0 ? { cost: 0, runs: [] } : { cost: Number.POSITIVE_INFINITY, runs: [] },
  );
  for (let runs = 0; runs < Math.min(most, count); runs++) {
    const before = best;
    best = before.map((known, end) => {
      let found = known;
      for (let first = 0; first < end; first++) {
        const start = at(before, first);
        const total = start.cost + at(at(costs, first), end - first - 1);
        if (total < found.cost) {
          found = { cost: total, runs: [...start.runs, { first, end }] };
        }
      }
      return found;
    });
  }
  return at(best, count).runs;
}

/** The best known way to divide the items up to some position. */
interface Division {
  readonly cost: number;
  readonly runs: readonly Run[];
}
