/** What a trial had at a rung. */
export interface RungEntry {
  readonly trial: number;
  /** The higher, the better; null of a trial that had no finite value, which every other one beats. */
  readonly value: number | null;
}

/** How many of those that came to a rung go on: one of `reductionFactor`, and at least one. */
export function survivors(count: number, reductionFactor: number): number {
  return Math.max(1, Math.floor(count / reductionFactor));
}

/** The trials that are good enough to go on from a rung, the best first; of equal ones the earlier comes first. */
export function bestAtRung(entries: readonly RungEntry[], reductionFactor: number): readonly number[] {
  return entries
    .toSorted((a, b) => compare(b.value, a.value) || a.trial - b.trial)
    .slice(0, survivors(entries.length, reductionFactor))
    .map(({ trial }) => trial);
}

/** Null before every number. */
function compare(a: number | null, b: number | null): number {
  if (a === null || b === null) return Number(b === null) - Number(a === null);
  return a - b;
}

/**
 * Asynchronous successive halving (Li et al. 2020): whether a trial goes on from a rung, judged among those that have
 * come there so far, itself among them. Nobody waits for the others.
 */
export function goesOn(entries: readonly RungEntry[], trial: number, reductionFactor: number): boolean {
  return bestAtRung(entries, reductionFactor).includes(trial);
}

/**
 * The stopped trial that is to go on next: one that is among the best of the rung it stopped at, now that more trials
 * have come there; from the highest rung first.
 * @param rungs entries by rung, from the lowest
 * @param stoppedAt the rung that each stopped trial is at
 */
export function nextPromotion(
  rungs: readonly (readonly RungEntry[])[],
  stoppedAt: ReadonlyMap<number, number>,
  reductionFactor: number,
): number | undefined {
  for (const [index, entries] of [...rungs.entries()].toReversed()) {
    const found = bestAtRung(entries, reductionFactor).find((trial) => stoppedAt.get(trial) === index);
    if (found !== undefined) return found;
  }
  return undefined;
}
