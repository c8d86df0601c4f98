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
    let [p, q, r, s] = [starts[i] ?? 0, starts[i + 1] ?? 0, starts[i + 2] ?? 0, starts[i + 3] ?? 0];
    // A row that is not there counts as zeros.
    const [a, b, c, d] = [weights[i] ?? 0, weights[i + 1] ?? 0, weights[i + 2] ?? 0, weights[i + 3] ?? 0];
    if (a === 0 && b === 0 && c === 0 && d === 0) continue;
    for (let at = to; at < to + count; at++) {
      sums[at] =
        (sums[at] ?? 0) +
        (a * (rows[p++] ?? 0) + b * (rows[q++] ?? 0)) +
        (c * (rows[r++] ?? 0) + d * (rows[s++] ?? 0));
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
 * What lies behind the rows, for the rest of a step of four, must be finite on the right and zero on the left.
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
      const [w, x, y, z] = [m[at] ?? 0, m[at + d] ?? 0, m[at + 2 * d] ?? 0, m[at + 3 * d] ?? 0];
      if (w === 0 && x === 0 && y === 0 && z === 0) continue;
      let sum = to + a * stride;
      const from = right.start + e * taps;
      for (let p = from; p < from + taps; p++, sum++) {
        sums[sum] =
          (sums[sum] ?? 0) +
          (w * (g[p] ?? 0) + x * (g[p + taps] ?? 0)) +
          (y * (g[p + 2 * taps] ?? 0) + z * (g[p + 3 * taps] ?? 0));
      }
    }
  }
}
