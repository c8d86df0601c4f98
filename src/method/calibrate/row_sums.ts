import { orDefault, present } from "../../graph/at.js";

/** See `present`: these loops are among the longest. */
const read = present;

/** Rows that are added together: the sums are read and written once for so many. */
const TOGETHER = 4;

/**
 * Adds weighted rows of a matrix to a list of sums: sums[to + j] += sum over i of weights[i] rows[starts[i] + j].
 * @param count elements of each row that are taken
 */
export function addRows(
  sums: Float64Array,
  to: number,
  rows: Float64Array,
  starts: readonly number[],
  weights: ArrayLike<number>,
  count: number,
): void {
  for (let i = 0; i < starts.length; i += TOGETHER) {
    // A row that is not there has the weight 0, wherever it is read from.
    let [p, q, r] = [read(starts[i]), orDefault(starts[i + 1], 0), orDefault(starts[i + 2], 0)];
    let s = orDefault(starts[i + 3], 0);
    const [a, b, c] = [read(weights[i]), orDefault(weights[i + 1], 0), orDefault(weights[i + 2], 0)];
    const d = orDefault(weights[i + 3], 0);
    if (a === 0 && b === 0 && c === 0 && d === 0) continue;
    for (let at = to; at < to + count; at++) {
      sums[at] =
        read(sums[at]) +
        (a * read(rows[p++]) + b * read(rows[q++])) +
        (c * read(rows[r++]) + d * read(rows[s++]));
    }
  }
}

/** A row-major matrix of which a row is read. */
export interface RowOf {
  readonly matrix: Float64Array;
  /** Where the row begins. */
  readonly start: number;
  /** Elements for each index that is summed over. */
  readonly width: number;
}

/**
 * Adds the product of two rows, each seen as a matrix [count, width]: sums[a, s] += sum over e of left[e, a] right[e, s].
 * What lies behind the rows, for the rest of a step of four, must be zero on the left, and on the right finite or
 * behind the end of the matrix.
 * @param sums row-major, with rows of `stride` elements, from `to` on
 */
export function addProducts(
  sums: Float64Array,
  to: number,
  stride: number,
  left: RowOf,
  right: RowOf,
  count: number,
): void {
  const [d, taps] = [left.width, right.width];
  const [m, g] = [left.matrix, right.matrix];
  for (let e = 0; e < count; e += TOGETHER) {
    for (let a = 0; a < d; a++) {
      const at = left.start + e * d + a;
      const [w, x, y, z] = [read(m[at]), read(m[at + d]), read(m[at + 2 * d]), read(m[at + 3 * d])];
      if (w === 0 && x === 0 && y === 0 && z === 0) continue;
      let sum = to + a * stride;
      const from = right.start + e * taps;
      for (let p = from; p < from + taps; p++, sum++) {
        sums[sum] =
          read(sums[sum]) +
          (w * read(g[p]) + x * orDefault(g[p + taps], 0)) +
          (y * orDefault(g[p + 2 * taps], 0) + z * orDefault(g[p + 3 * taps], 0));
      }
    }
  }
}
