import { orDefault, present } from "../../graph/at.js";
import {
  type BasisProblem,
  basisProducts,
  type CoefficientProblem,
  coefficientProblem,
} from "./basis_fit.js";
import { coefficientsOn, type RemovalPath, removalPath } from "./removal.js";
import { Cholesky } from "./symmetric.js";

/** See `present`: these loops are among the longest. */
const read = present;

/** One output channel: how well it can be computed, and what each of its coefficients is worth. */
export interface RowFit {
  readonly path: RemovalPath;
  /** Mean squared error with all coefficients. */
  readonly error: number;
}

/** Coefficients of a layer, or of a group. */
export interface Solution {
  /** [outputs, columns]. */
  readonly coefs: Float64Array;
  /** The sum of the outputs' squared errors, each as much as it counts. */
  readonly error: number;
}

/** Finds the best coefficients of a layer. All matrices are row-major. */
export interface CoefficientSolver {
  /** Rounds of alternating least squares, at most. */
  readonly rounds: number;
  /** A group in terms of its coefficients on a basis [d, taps]. */
  problem(group: BasisProblem, basis: Float64Array, d: number): Promise<CoefficientProblem>;
  /** The coefficients with the smallest error. @param start some that come near */
  dense(problem: CoefficientProblem, start?: Float64Array): Promise<Solution>;
  /**
   * For each output the order in which its coefficients can best be spared, from `dense`'s result.
   * @param least share of all coefficients that will stay, 0 to 1: how the rest go need not be known well
   */
  paths(problem: CoefficientProblem, coefs: Float64Array, least: number): Promise<readonly RowFit[]>;
  /** The best coefficients that are zero outside each output's support. @param start some that come near */
  on(problem: CoefficientProblem, supports: readonly Int32Array[], start?: Float64Array): Promise<Solution>;
  /** A group's part in the matrix of `bestBasis`, [d * taps, d * taps], for coefficients [outputs, channels * d]. */
  basisProducts(group: BasisProblem, coefs: Float64Array, d: number): Promise<Float64Array>;
}

/**
 * The error of coefficients w, for each output variance - w (cross + residual).
 * @param residual cross - gram w where coefficients are not zero; absent where it is zero there, as for the best ones
 */
export function weightedError(
  { columns, cross, variance, importance }: CoefficientProblem,
  coefs: Float32Array | Float64Array,
  residual?: Float32Array,
): number {
  let sum = 0;
  for (let k = 0, index = 0; k < variance.length; k++) {
    let error = read(variance[k]);
    for (let column = 0; column < columns; column++, index++)
      error -= read(coefs[index]) * (read(cross[index]) + orDefault(residual?.[index], 0));
    sum += read(importance[k]) * Math.max(0, error);
  }
  return sum;
}

/** By Cholesky factors and the optimal brain surgeon: columns^3 for each output. */
export const exactSolver: CoefficientSolver = {
  // Layers of few channels gain for long, and cost little.
  rounds: 10,
  problem: async (group, basis, d) => coefficientProblem(group, basis, d),
  dense: async (problem) => {
    const { columns, gram, cross } = problem;
    const factor = Cholesky.ofMoments(gram, columns);
    const coefs = cross.slice();
    for (let start = 0; start < coefs.length; start += columns) {
      factor.solveInPlace(coefs.subarray(start, start + columns));
    }
    return { coefs, error: weightedError(problem, coefs) };
  },
  paths: async ({ columns, gram, cross, variance }, coefs) => {
    const inverse = Cholesky.ofMoments(gram, columns).inverse();
    const scratch = new Float64Array(inverse.length);
    return Array.from(variance, (whole, k) => {
      const row = coefs.subarray(k * columns, (k + 1) * columns);
      const explained = row.reduce((sum, value, i) => sum + value * read(cross[k * columns + i]), 0);
      return { path: removalPath(inverse, row, scratch), error: Math.max(0, whole - explained) };
    });
  },
  on: async (problem, supports) => {
    const { columns, cross } = problem;
    const coefs = new Float64Array(cross.length);
    supports.forEach((support, k) => {
      const row = cross.subarray(k * columns, (k + 1) * columns);
      coefs.set(coefficientsOn(support, problem, row), k * columns);
    });
    return { coefs, error: weightedError(problem, coefs) };
  },
  basisProducts: async (group, coefs, d) => basisProducts(group, coefs, d),
};
