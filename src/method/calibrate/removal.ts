import type { CoefficientProblem } from "./basis_fit.js";
import { Cholesky, principalMinor } from "./symmetric.js";

/** The order in which one output's coefficients can best be spared. */
export interface RemovalPath {
  /** Columns, first removed first. */
  readonly order: Int32Array;
  /** Squared error added by removing the first m + 1 of them, the others compensating; never decreasing. */
  readonly error: Float64Array;
}

/**
 * Optimal brain surgeon: removes, again and again, the coefficient whose removal costs least when all that remain
 * compensate: with H the Gram matrix, w_i^2 / (H^-1)_ii, after which w -= (H^-1)_i w_i / (H^-1)_ii, and H^-1 loses
 * row and column i by one step of elimination.
 * @param inverse of the Gram matrix, row-major [columns, columns]; not changed
 * @param coefs the best coefficients [columns] with none removed
 */
export function removalPath(inverse: Float64Array, coefs: Float64Array): RemovalPath {
  const n = coefs.length;
  const h = inverse.slice();
  const w = coefs.slice();
  const column = Int32Array.from({ length: n }, (_, index) => index);
  const order = new Int32Array(n);
  const error = new Float64Array(n);
  let total = 0;
  for (let left = n; left > 0; left--) {
    const { index, cost } = cheapest(h, w, n, left);
    total += cost;
    order[n - left] = column[index] ?? 0;
    error[n - left] = total;
    eliminate(h, w, n, left, index);
    moveLastTo(h, w, column, n, left, index);
  }
  return { order, error };
}

function cheapest(
  h: Float64Array,
  w: Float64Array,
  n: number,
  left: number,
): { index: number; cost: number } {
  let index = 0;
  let cost = Number.POSITIVE_INFINITY;
  for (let i = 0; i < left; i++) {
    const value = w[i] ?? 0;
    const removal = (value * value) / (h[i * n + i] ?? 1);
    if (removal < cost) {
      cost = removal;
      index = i;
    }
  }
  return { index, cost: Number.isFinite(cost) ? cost : 0 };
}

function eliminate(h: Float64Array, w: Float64Array, n: number, left: number, index: number): void {
  const pivotRow = h.slice(index * n, index * n + left);
  const pivot = pivotRow[index] ?? 1;
  const shift = (w[index] ?? 0) / pivot;
  for (let i = 0; i < left; i++) {
    const scale = (pivotRow[i] ?? 0) / pivot;
    w[i] = (w[i] ?? 0) - shift * (pivotRow[i] ?? 0);
    if (scale === 0) continue;
    const row = h.subarray(i * n, i * n + left);
    for (let j = 0; j < left; j++) row[j] = (row[j] ?? 0) - scale * (pivotRow[j] ?? 0);
  }
}

/** Keeps what is left together, so that every loop runs over contiguous memory. */
function moveLastTo(
  h: Float64Array,
  w: Float64Array,
  column: Int32Array,
  n: number,
  left: number,
  index: number,
): void {
  const last = left - 1;
  if (last === index) return;
  w[index] = w[last] ?? 0;
  column[index] = column[last] ?? 0;
  h.copyWithin(index * n, last * n, last * n + left);
  for (let i = 0; i < left; i++) h[i * n + index] = h[i * n + last] ?? 0;
}

/**
 * The best coefficients of one output that are zero outside `support`.
 * @param cross the output's row [columns] of the problem
 */
export function coefficientsOn(
  support: Int32Array,
  problem: CoefficientProblem,
  cross: Float64Array,
): Float64Array {
  const coefs = new Float64Array(problem.columns);
  // A kernel beyond the rank of what the basis was made for is zero: nothing depends on its coefficients.
  const used = support.filter((column) => problem.gram[column * problem.columns + column] !== 0);
  if (used.length === 0) return coefs;
  const right = Float64Array.from(used, (column) => cross[column] ?? 0);
  Cholesky.ofMoments(principalMinor(problem.gram, problem.columns, used), used.length).solveInPlace(right);
  used.forEach((column, index) => {
    coefs[column] = right[index] ?? 0;
  });
  return coefs;
}
