import { type BasisProblem, basisProducts, type CoefficientProblem } from "./basis_fit.js";
import { coefficientsOn, type RemovalPath, removalPath } from "./removal.js";
import { Cholesky } from "./symmetric.js";

/** One output channel: how well it can be computed, and what each of its coefficients is worth. */
export interface RowFit {
  readonly path: RemovalPath;
  /** Mean squared error with all coefficients. */
  readonly error: number;
}

/** Finds the best coefficients of a layer. All matrices are row-major. */
export interface CoefficientSolver {
  /** The coefficients [outputs, columns] with the smallest error. @param start some that come near */
  dense(problem: CoefficientProblem, start?: Float64Array): Promise<Float64Array>;
  /** For each output the order in which its coefficients can best be spared, from `dense`'s result. */
  paths(problem: CoefficientProblem, coefs: Float64Array): Promise<readonly RowFit[]>;
  /** The best coefficients that are zero outside each output's support. @param start some that come near */
  on(
    problem: CoefficientProblem,
    supports: readonly Int32Array[],
    start?: Float64Array,
  ): Promise<Float64Array>;
  /** A group's part in the matrix of `bestBasis`, [d * taps, d * taps], for coefficients [outputs, channels * d]. */
  basisProducts(group: BasisProblem, coefs: Float64Array, d: number): Promise<Float64Array>;
}

/** By Cholesky factors and the optimal brain surgeon: columns^3 for each output. */
export const exactSolver: CoefficientSolver = {
  dense: async ({ columns, gram, cross }) => {
    const factor = Cholesky.ofMoments(gram, columns);
    const coefs = cross.slice();
    for (let start = 0; start < coefs.length; start += columns) {
      factor.solveInPlace(coefs.subarray(start, start + columns));
    }
    return coefs;
  },
  paths: async ({ columns, gram, cross, variance }, coefs) => {
    const inverse = Cholesky.ofMoments(gram, columns).inverse();
    const scratch = new Float64Array(inverse.length);
    return Array.from(variance, (whole, k) => {
      const row = coefs.subarray(k * columns, (k + 1) * columns);
      const explained = row.reduce((sum, value, i) => sum + value * (cross[k * columns + i] ?? 0), 0);
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
    return coefs;
  },
  basisProducts: async (group, coefs, d) => basisProducts(group, coefs, d),
};
