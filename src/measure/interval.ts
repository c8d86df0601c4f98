import { at } from "../graph/at.js";
import { median } from "./median.js";

/** Where a true value lies with 95 % confidence. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Of the normal distribution, two-sided 95 %. */
const Z = 1.959963984540054;
/** The most that may lie outside of an interval of order statistics. */
const RISK = 0.05;

/**
 * The interval of the median of a distribution of any shape (order statistics, the sign test's); smallest and largest
 * value where there are fewer than six, which say less. NaN of nothing.
 */
export function medianInterval(values: readonly number[]): Interval {
  const count = values.length;
  if (count === 0) return { low: Number.NaN, high: Number.NaN };
  const sorted = values.toSorted((a, b) => a - b);
  const left = Math.max(0, count > MANY ? normalRank(count) : exactRank(count));
  return { low: at(sorted, left), high: at(sorted, count - 1 - left) };
}

/** From here on binomial probabilities are those of the normal distribution. */
const MANY = 500;

function normalRank(count: number): number {
  return Math.floor((count - Z * Math.sqrt(count)) / 2) - 1;
}

/** How many of the smallest values can be left out, and as many of the largest; -1 where there are too few. */
function exactRank(count: number): number {
  let rank = -1;
  // Of the values below the median being 0, 1, 2, ... of them.
  let probability = 0.5 ** count;
  let sum = probability;
  while (2 * sum <= RISK) {
    rank += 1;
    probability *= (count - rank) / (rank + 1);
    sum += probability;
  }
  return rank;
}

/** The interval of a share of which `correct` of `total` were seen (Wilson 1927); 0 to 1 of nothing. */
export function shareInterval(correct: number, total: number): Interval {
  if (total === 0) return { low: 0, high: 1 };
  const share = correct / total;
  const square = Z * Z;
  const centre = (share + square / (2 * total)) / (1 + square / total);
  const half =
    (Z * Math.sqrt((share * (1 - share)) / total + square / (4 * total * total))) / (1 + square / total);
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** How alike things in one image are taken to be: the correlation of whether they are right. */
const ALIKE = 0.1;

/**
 * The interval of a share of things that stand in images, several in each: boxes, or positions of a map. What is in one
 * image goes wrong together, so an image counts as at most ten things, however many it has (Kish's design effect).
 * @param things that the share is of
 */
export function shareOfThingsInterval(share: number, things: number, images: number): Interval {
  if (things === 0 || images === 0) return { low: 0, high: 1 };
  const effect = Math.max(1, 1 + (things / images - 1) * ALIKE);
  const counted = things / effect;
  return shareInterval(share * counted, counted);
}

/** How one value changed to another, and whether that is more than chance. */
export interface Change extends Interval {
  readonly value: number;
  /** False where the interval holds "no change": no difference was measured. */
  readonly differs: boolean;
}

/**
 * Difference of two shares that were seen on the same `total` things: `gained` were right only after the change, `lost`
 * only before (Agresti and Min 2005).
 */
export function pairedDifference(gained: number, lost: number, total: number): Change {
  const value = total === 0 ? 0 : (gained - lost) / total;
  const count = total + 2;
  const centre = (gained - lost) / count;
  const variance = (gained + lost + 1 - (gained - lost) ** 2 / count) / count ** 2;
  const half = Z * Math.sqrt(variance);
  const [low, high] = [centre - half, centre + half];
  return { value, low: Math.max(-1, low), high: Math.min(1, high), differs: low > 0 || high < 0 };
}

/** The ratio of two values that were measured in rounds by turns: what hits both in a round cancels. */
export function ratioOfRounds(before: readonly number[], after: readonly number[]): Change {
  const ratios = before.map((value, round) => at(after, round) / value);
  const { low, high } = medianInterval(ratios);
  // Fewer than six rounds cannot exclude chance.
  const differs = ratios.length >= LEAST_ROUNDS && (low > 1 || high < 1);
  return { value: median(ratios), low, high, differs };
}

/** Rounds from which the smallest and the largest value enclose the median with 95 % confidence. */
export const LEAST_ROUNDS = 6;
