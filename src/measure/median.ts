import { at } from "../graph/at.js";
/** Middle value; the mean of the two middle ones where their number is even. NaN of nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return at(sorted, middle);
  return (at(sorted, middle) + at(sorted, middle - 1)) / 2;
}
