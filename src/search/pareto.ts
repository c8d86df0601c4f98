import { at, orDefault } from "../graph/at.js";

/** Costs of one candidate, all to be small, one for each objective; finite. */
export type Costs = readonly number[];

/** Whether `a` is nowhere worse than `b`, and somewhere better. Equal costs dominate neither way. */
export function dominates(a: Costs, b: Costs): boolean {
  let isBetter = false;
  for (let index = 0; index < a.length; index++) {
    const [mine, other] = [at(a, index), at(b, index)];
    if (mine > other) return false;
    if (mine < other) isBetter = true;
  }
  return isBetter;
}

/** Indices of the points that no other one dominates, in order; of equal points all stay. */
export function nonDominated(points: readonly Costs[]): readonly number[] {
  return points.flatMap((point, index) => (points.some((other) => dominates(other, point)) ? [] : [index]));
}

/** The front that each point is on: 0 of those that none dominates, 1 of those that only these dominate, and so on. */
export function frontRanks(points: readonly Costs[]): readonly number[] {
  const ranks = new Map<number, number>();
  let left = points.map((_, index) => index);
  for (let rank = 0; left.length > 0; rank++) {
    const front = new Set(
      nonDominated(left.map((index) => at(points, index))).map((place) => at(left, place)),
    );
    for (const index of front) ranks.set(index, rank);
    left = left.filter((index) => !front.has(index));
  }
  return points.map((_, index) => orDefault(ranks.get(index), 0));
}

/**
 * The volume that is dominated by some points and dominates the reference: how good they are together. Exact, by
 * slicing along the last objective (Zitzler 1999); points that are not better than the reference everywhere count for
 * nothing.
 */
export function hypervolume(points: readonly Costs[], reference: Costs): number {
  const inside = points.filter((point) => point.every((cost, index) => cost < at(reference, index)));
  return sliced(inside, reference);
}

function sliced(points: readonly Costs[], reference: Costs): number {
  const dimension = reference.length - 1;
  if (points.length === 0) return 0;
  const end = at(reference, dimension);
  if (dimension === 0) return end - points.reduce((least, point) => Math.min(least, at(point, 0)), end);
  const sorted = points.toSorted((a, b) => at(a, dimension) - at(b, dimension));
  const lower = reference.slice(0, dimension);
  let volume = 0;
  let front: readonly Costs[] = [];
  sorted.forEach((point, index) => {
    const from = at(point, dimension);
    const to = index + 1 < sorted.length ? at(at(sorted, index + 1), dimension) : end;
    const flat = point.slice(0, dimension);
    front = [...front.filter((other) => !dominates(flat, other)), flat];
    if (to > from) volume += (to - from) * sliced(front, lower);
  });
  return volume;
}

/**
 * Of some points those that together dominate most, chosen one after the other by what each adds (greedy hypervolume
 * subset selection).
 * @returns indices, the most valuable first
 */
export function greedySubset(points: readonly Costs[], count: number, reference: Costs): readonly number[] {
  const chosen: number[] = [];
  let left = points.map((_, index) => index);
  while (chosen.length < count && left.length > 0) {
    const taken = chosen.map((index) => at(points, index));
    const gains = left.map((index) => hypervolume([...taken, at(points, index)], reference));
    const best = gains.reduce((most, gain, place) => (gain > at(gains, most) ? place : most), 0);
    chosen.push(at(left, best));
    left = left.filter((_, place) => place !== best);
  }
  return chosen;
}
