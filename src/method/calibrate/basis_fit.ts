import { at, present } from "../../graph/at.js";
import type { LayerMoments } from "../../measure/moments.js";
import { addProducts, addRows } from "./row_sums.js";
import { Cholesky, mirrorLower } from "./symmetric.js";

/** See `present`: these loops are among the longest. */
const read = present;

/** A layer W[k, c, :] = sum over b of coefs[k, c, b] * basis[b, :] and what it is made for. */
export interface BasisProblem {
  readonly moments: LayerMoments;
  /** Kernel taps, R*S. */
  readonly taps: number;
  /** Input channels of the group: n = channels * taps. */
  readonly channels: number;
  /** How much the squared error of each output counts. */
  readonly importance: Float64Array;
  /** What the layer's kernels were, row-major [outputs, channels * taps]. */
  readonly weight: ArrayLike<number>;
}

/** The layer in terms of its coefficients: columns are (channel, basis) pairs, channels * d of them. */
export interface CoefficientProblem {
  readonly columns: number;
  /** Row-major [columns, columns]; in single precision for wide layers. */
  readonly gram: Float32Array | Float64Array;
  /** Row-major [outputs, columns]. */
  readonly cross: Float64Array;
  /** Variance of each wanted output. */
  readonly variance: Float64Array;
  readonly importance: Float64Array;
}

/** The layer's moments in terms of its coefficients on a basis [d, taps]. */
export function coefficientProblem(
  { moments, taps, channels, importance }: BasisProblem,
  basis: Float64Array,
  d: number,
): CoefficientProblem {
  const { n, outputs, gram, cross, variance } = moments;
  const columns = channels * d;
  const projected = new Float64Array(columns * columns);
  const row = new Float64Array(n);
  for (let c = 0; c < channels; c++) {
    const starts = Array.from({ length: taps }, (_, tap) => (c * taps + tap) * n);
    // What is on and below the diagonal, the channel's own block whole.
    const upTo = c + 1;
    for (let b = 0; b < d; b++) {
      row.fill(0);
      addRows(row, 0, gram, starts, basis.subarray(b * taps, (b + 1) * taps), upTo * taps);
      projected.set(projectRows(row, 1, { taps, channels: upTo, basis, d }), (c * d + b) * columns);
    }
  }
  mirrorLower(projected, columns);
  return {
    columns,
    gram: projected,
    cross: projectRows(cross, outputs, { taps, channels, basis, d }),
    variance,
    importance,
  };
}

interface Projection {
  readonly taps: number;
  readonly channels: number;
  readonly basis: Float64Array;
  readonly d: number;
}

/** [count, channels * taps] . basis' for each channel: [count, channels * d]. */
export function projectRows(
  rows: Float64Array,
  count: number,
  { taps, channels, basis, d }: Projection,
): Float64Array {
  const result = new Float64Array(count * channels * d);
  let out = 0;
  for (let start = 0; start < count * channels * taps; start += taps) {
    for (let b = 0; b < d; b++) {
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += read(rows[start + tap]) * read(basis[b * taps + tap]);
      result[out++] = sum;
    }
  }
  return result;
}

/**
 * The basis with the smallest error for given coefficients (one list [outputs, channels * d] for each group), by one
 * linear system of d * taps unknowns:
 * Q[(b,r),(b',r')] = sum over c, c' of M[(c,b),(c',b')] gram[(c,r),(c',r')], M the sum over outputs of coefs coefs'.
 * @param products Q of each group
 */
export function bestBasis(
  groups: readonly BasisProblem[],
  coefs: readonly Float64Array[],
  products: readonly Float64Array[],
  d: number,
): Float64Array {
  const size = d * at(groups, 0).taps;
  const matrix = new Float64Array(size * size);
  const right = new Float64Array(size);
  groups.forEach((group, index) => {
    const own = at(products, index);
    for (let i = 0; i < matrix.length; i++) matrix[i] = read(matrix[i]) + read(own[i]);
    addBasisTargets(right, group, at(coefs, index), d);
  });
  addRidge(matrix, size);
  Cholesky.ofMoments(matrix, size).solveInPlace(right);
  return right;
}

/**
 * Q of `bestBasis`, for one group. Both factors are symmetric, and so is the result: pairs of columns are taken once,
 * with what their mirror image gives.
 */
export function basisProducts(group: BasisProblem, coefs: Float64Array, d: number): Float64Array {
  const { taps, channels, moments } = group;
  const size = d * taps;
  const products = coefficientProducts(group, coefs, d);
  const columns = channels * d;
  const sums = new Float64Array(size * size);
  // A step of four channels may reach beyond the row.
  const row = new Float64Array(columns + 4 * d);
  for (let c = 0; c < channels; c++) {
    for (let b = 0; b < d; b++) {
      const column = c * d + b;
      row.fill(0).set(products.subarray(column * columns, column * columns + column + 1));
      row[column] = read(row[column]) / 2;
      const left = { matrix: row, start: 0, width: d };
      for (let r = 0; r < taps; r++) {
        const right = { matrix: moments.gram, start: (c * taps + r) * moments.n, width: taps };
        addProducts(sums, (b * taps + r) * size, taps, left, right, c + 1);
      }
    }
  }
  return sums.map((sum, index) => sum + read(sums[(index % size) * size + Math.floor(index / size)]));
}

/** The sum over outputs of importance * coefs coefs', [channels * d, channels * d]: what is on and below the diagonal. */
function coefficientProducts(
  { channels, moments: { outputs }, importance }: BasisProblem,
  coefs: Float64Array,
  d: number,
): Float64Array {
  const columns = channels * d;
  const products = new Float64Array(columns * columns);
  const starts = Array.from({ length: outputs }, (_, k) => k * columns);
  const weights = new Float64Array(outputs);
  for (let i = 0; i < columns; i++) {
    for (let k = 0; k < outputs; k++) weights[k] = read(importance[k]) * read(coefs[k * columns + i]);
    addRows(products, i * columns, coefs, starts, weights, i + 1);
  }
  return products;
}

function addBasisTargets(
  right: Float64Array,
  { taps, channels, importance, moments: { n, outputs, cross } }: BasisProblem,
  coefs: Float64Array,
  d: number,
): void {
  const columns = channels * d;
  for (let k = 0; k < outputs; k++) {
    for (let column = 0; column < columns; column++) {
      const scale = read(importance[k]) * read(coefs[k * columns + column]);
      if (scale === 0) continue;
      const from = k * n + Math.floor(column / d) * taps;
      const to = (column % d) * taps;
      for (let r = 0; r < taps; r++) right[to + r] = read(right[to + r]) + scale * read(cross[from + r]);
    }
  }
}

/** A basis kernel that no coefficient uses would leave the system without a solution. */
function addRidge(matrix: Float64Array, n: number): void {
  let trace = 0;
  for (let i = 0; i < n; i++) trace += read(matrix[i * n + i]);
  const ridge = 1e-10 * (trace > 0 ? trace / n : 1);
  for (let i = 0; i < n; i++) matrix[i * n + i] = read(matrix[i * n + i]) + ridge;
}
