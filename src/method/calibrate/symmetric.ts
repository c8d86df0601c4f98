import { present } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";

/** See `present`: these loops are among the longest. */
const read = present;

/**
 * A symmetric positive definite matrix as its Cholesky factor A = L L'. Our own, beside ml-matrix: the layers here
 * need factors and inverses of up to some thousand rows, where contiguous rows are ten times as fast.
 */
export class Cholesky {
  /** @param factor row-major [n, n]; what is above the diagonal is not used. */
  private constructor(
    private readonly factor: Float64Array,
    readonly n: number,
  ) {}

  /**
   * Factorises a row-major symmetric [n, n] matrix, which is left as it is.
   * @throws PenniError "internal" if the matrix is not positive definite
   */
  static of(matrix: Float32Array | Float64Array, n: number): Cholesky {
    const factor = lowerFactor(matrix, n, 0);
    if (factor !== undefined) return new Cholesky(factor, n);
    throw new PenniError("internal", "the second moments of a layer's inputs are not positive definite", {
      expected: "positive pivots",
      found: `a [${n}, ${n}] matrix without`,
    });
  }

  /**
   * `of`, for second moments from single precision: where rounding has made a matrix indefinite, its diagonal is
   * raised, by 1e-5 of its largest element and then ten times as much, until it is not.
   * @throws PenniError "internal" if that is not enough, as where values are not finite
   */
  static ofMoments(matrix: Float32Array | Float64Array, n: number): Cholesky {
    let largest = 0;
    for (let i = 0; i < n; i++) largest = Math.max(largest, read(matrix[i * n + i]));
    for (const share of RAISES) {
      const factor = lowerFactor(matrix, n, share * largest);
      if (factor !== undefined) return new Cholesky(factor, n);
    }
    return Cholesky.of(matrix, n);
  }

  /** Replaces b, [n], by the solution x of A x = b. */
  solveInPlace(b: Float64Array): void {
    const { factor, n } = this;
    for (let i = 0; i < n; i++) {
      const row = factor.subarray(i * n, i * n + i + 1);
      b[i] = (read(b[i]) - dot(row, b, i)) / read(row[i]);
    }
    for (let i = n - 1; i >= 0; i--) {
      const row = factor.subarray(i * n, i * n + i + 1);
      const x = read(b[i]) / read(row[i]);
      b[i] = x;
      for (let j = 0; j < i; j++) b[j] = read(b[j]) - x * read(row[j]);
    }
  }

  /** The inverse of A, row-major [n, n], by A^-1 = L^-T L^-1. */
  inverse(): Float64Array {
    const { n } = this;
    const lower = this.invertedFactor();
    const inverse = new Float64Array(n * n);
    for (let k = 0; k < n; k++) {
      const row = lower.subarray(k * n, k * n + k + 1);
      for (let i = 0; i <= k; i++) {
        const scale = read(row[i]);
        const target = inverse.subarray(i * n, i * n + i + 1);
        for (let j = 0; j <= i; j++) target[j] = read(target[j]) + scale * read(row[j]);
      }
    }
    mirrorLower(inverse, n);
    return inverse;
  }

  /** L^-1, row by row: row i is (e_i - sum over j < i of L_ij * row j) / L_ii. */
  private invertedFactor(): Float64Array {
    const { factor, n } = this;
    const inverted = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      const row = inverted.subarray(i * n, i * n + i + 1);
      for (let j = 0; j < i; j++) {
        const scale = read(factor[i * n + j]);
        const above = inverted.subarray(j * n, j * n + j + 1);
        for (let t = 0; t <= j; t++) row[t] = read(row[t]) - scale * read(above[t]);
      }
      const pivot = read(factor[i * n + i]);
      for (let t = 0; t < i; t++) row[t] = read(row[t]) / pivot;
      row[i] = 1 / pivot;
    }
    return inverted;
  }
}

/** Shares of the largest diagonal element that are added to the diagonal, one after another. */
const RAISES: readonly number[] = [0, 1e-5, 1e-4, 1e-3];

/** L of A + raise * 1 = L L'; undefined if there is none. */
function lowerFactor(
  matrix: Float32Array | Float64Array,
  n: number,
  raise: number,
): Float64Array | undefined {
  const factor = new Float64Array(matrix);
  for (let i = 0; i < n; i++) {
    const start = i * n;
    for (let j = 0; j < i; j += TOGETHER) {
      if (j + TOGETHER <= i) subtractProducts(factor, n, i, j);
      const whole = j + TOGETHER <= i;
      for (let k = j; k < Math.min(j + TOGETHER, i); k++) {
        const other = k * n;
        let value = read(factor[start + k]);
        for (let t = whole ? j : 0; t < k; t++) value -= read(factor[start + t]) * read(factor[other + t]);
        factor[start + k] = value / read(factor[other + k]);
      }
    }
    const row = factor.subarray(start, start + i);
    const pivot = read(factor[start + i]) + raise - dot(row, row, i);
    if (!(pivot > 0)) return undefined;
    factor[start + i] = Math.sqrt(pivot);
  }
  return factor;
}

/** Elements of a row that are found together: one sum alone would wait for its own additions. */
const TOGETHER = 4;

/** Takes the products of what row i and rows j .. j + 3 have before column j off the row's elements j .. j + 3. */
function subtractProducts(factor: Float64Array, n: number, i: number, j: number): void {
  const row = i * n;
  let [p, q, r, s] = [j * n, (j + 1) * n, (j + 2) * n, (j + 3) * n];
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let at = row; at < row + j; at++) {
    const value = read(factor[at]);
    a += value * read(factor[p++]);
    b += value * read(factor[q++]);
    c += value * read(factor[r++]);
    d += value * read(factor[s++]);
  }
  const to = row + j;
  factor[to] = read(factor[to]) - a;
  factor[to + 1] = read(factor[to + 1]) - b;
  factor[to + 2] = read(factor[to + 2]) - c;
  factor[to + 3] = read(factor[to + 3]) - d;
}

function dot(a: Float64Array, b: Float64Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += read(a[i]) * read(b[i]);
  return sum;
}

/** Copies what is below the diagonal of a row-major [n, n] matrix above it. */
export function mirrorLower(matrix: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) matrix[j * n + i] = read(matrix[i * n + j]);
  }
}

/** The rows and columns `indices` of a row-major symmetric [n, n] matrix. */
export function principalMinor(
  matrix: Float32Array | Float64Array,
  n: number,
  indices: ArrayLike<number>,
): Float64Array {
  const count = indices.length;
  const minor = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    const from = read(indices[i]) * n;
    for (let j = 0; j < count; j++) minor[i * count + j] = read(matrix[from + read(indices[j])]);
  }
  return minor;
}
