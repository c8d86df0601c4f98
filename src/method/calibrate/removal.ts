import { present } from "../../graph/at.js";
import type { CoefficientProblem } from "./basis_fit.js";
import { Cholesky, principalMinor } from "./symmetric.js";

/** See `present`: these loops are among the longest. */
const read = present;

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
 * @param scratch room for a copy of the inverse
 */
export function removalPath(
  inverse: Float64Array,
  coefs: Float64Array,
  scratch = new Float64Array(inverse.length),
): RemovalPath {
  const n = coefs.length;
  scratch.set(inverse);
  const removal = new Removal(scratch, coefs);
  const order = new Int32Array(n);
  const error = new Float64Array(n);
  let total = 0;
  for (let step = 0; step < n; step++) {
    const { column, cost } = removal.removeCheapest();
    total += cost;
    order[step] = column;
    error[step] = total;
  }
  return { order, error };
}

/** Steps of elimination that are made together: the matrix is read and written once for all of them. */
const BLOCK = 8;
/** The diagonal of an inverse does not fall below this share of what it was: rounding might make it negative. */
const LEAST_SHARE = 1e-14;

/** What is left of a problem while its columns are removed. Those that are left come first. */
class Removal {
  private readonly n: number;
  private left: number;
  private readonly w: Float64Array;
  /** The diagonal of the inverse as it is now. */
  private readonly diagonal: Float64Array;
  private readonly least: Float64Array;
  private readonly column: Int32Array;
  /** For each column that is left BLOCK numbers u: pending steps take u u' off the inverse. */
  private readonly pending: Float64Array;
  private steps = 0;

  /** @param h the inverse, row-major; it is changed, and only what is on and below the diagonal stays up to date */
  constructor(
    private readonly h: Float64Array,
    coefs: Float64Array,
  ) {
    const n = coefs.length;
    this.n = n;
    this.left = n;
    this.w = coefs.slice();
    this.diagonal = Float64Array.from({ length: n }, (_, i) => read(h[i * n + i]));
    this.least = this.diagonal.map((value) => Math.max(LEAST_SHARE * value, Number.MIN_VALUE));
    this.column = Int32Array.from({ length: n }, (_, i) => i);
    this.pending = new Float64Array(n * BLOCK);
  }

  removeCheapest(): { readonly column: number; readonly cost: number } {
    const { w, diagonal } = this;
    const index = this.cheapest();
    const value = read(w[index]);
    const cost = (value * value) / read(diagonal[index]);
    const column = read(this.column[index]);
    this.eliminate(index);
    this.moveLastTo(index);
    if (this.steps === BLOCK) this.settle();
    return { column, cost: Number.isFinite(cost) ? cost : 0 };
  }

  private cheapest(): number {
    const { w, diagonal, left } = this;
    let index = 0;
    let cost = Number.POSITIVE_INFINITY;
    for (let i = 0; i < left; i++) {
      const value = read(w[i]);
      const removal = (value * value) / read(diagonal[i]);
      if (removal < cost) {
        cost = removal;
        index = i;
      }
    }
    return index;
  }

  private eliminate(index: number): void {
    const { h, w, n, left, diagonal, least, pending, steps } = this;
    const root = Math.sqrt(read(diagonal[index]));
    const shift = read(w[index]) / root;
    const own = pending.slice(index * BLOCK, index * BLOCK + steps);
    for (let i = 0; i < left; i++) {
      let value = read(i < index ? h[index * n + i] : h[i * n + index]);
      for (let step = 0; step < steps; step++) value -= read(own[step]) * read(pending[i * BLOCK + step]);
      const u = value / root;
      pending[i * BLOCK + steps] = u;
      w[i] = read(w[i]) - shift * u;
      diagonal[i] = Math.max(read(diagonal[i]) - u * u, read(least[i]));
    }
    this.steps += 1;
  }

  /** Keeps what is left together, so that every loop runs over contiguous memory. */
  private moveLastTo(index: number): void {
    const { h, w, n, diagonal, least, column, pending } = this;
    this.left -= 1;
    const last = this.left;
    if (last === index) return;
    for (const values of [w, diagonal, least, column]) values[index] = read(values[last]);
    pending.copyWithin(index * BLOCK, last * BLOCK, (last + 1) * BLOCK);
    h.copyWithin(index * n, last * n, last * n + index);
    h[index * n + index] = read(h[last * n + last]);
    for (let i = index + 1; i < last; i++) h[i * n + index] = read(h[last * n + i]);
  }

  /** Makes the pending steps. */
  private settle(): void {
    const { h, n, left, pending: u } = this;
    for (let i = 0; i < left; i++) {
      const row = h.subarray(i * n, i * n + i + 1);
      const at = i * BLOCK;
      const [a, b, c, d] = [read(u[at]), read(u[at + 1]), read(u[at + 2]), read(u[at + 3])];
      const [e, f, g, k] = [read(u[at + 4]), read(u[at + 5]), read(u[at + 6]), read(u[at + 7])];
      for (let j = 0, from = 0; j <= i; j++, from += BLOCK) {
        row[j] =
          read(row[j]) -
          (a * read(u[from]) + b * read(u[from + 1]) + c * read(u[from + 2]) + d * read(u[from + 3])) -
          (e * read(u[from + 4]) + f * read(u[from + 5]) + g * read(u[from + 6]) + k * read(u[from + 7]));
      }
    }
    this.steps = 0;
  }
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
  const right = Float64Array.from(used, (column) => read(cross[column]));
  Cholesky.ofMoments(principalMinor(problem.gram, problem.columns, used), used.length).solveInPlace(right);
  used.forEach((column, index) => {
    coefs[column] = read(right[index]);
  });
  return coefs;
}
