import assert from "node:assert/strict";
import { test } from "node:test";
import { Matrix, solve } from "ml-matrix";
import {
  type BasisProblem,
  basisProducts,
  bestBasis,
  coefficientProblem,
} from "../../../src/method/calibrate/basis_fit.js";
import { iterativeSolver } from "../../../src/method/calibrate/iterative_solver.js";
import { addProducts, addRows } from "../../../src/method/calibrate/row_sums.js";
import { layerProblem, singleAlgebra, uniform } from "./support.js";

/** Differences are those of another order of the same sums. */
function assertNear(found: Float64Array, wanted: Float64Array, share = 1e-12): void {
  assert.equal(found.length, wanted.length);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  found.forEach((value, index) => {
    assert.ok(Math.abs(value - (wanted[index] ?? NaN)) <= share * largest, `${value}, not ${wanted[index]}`);
  });
}

for (const count of [1, 3, 4, 7, 9]) {
  test(`${count} weighted rows are added as one after the other`, () => {
    const [rows, weights] = [uniform(12 * 20, count), uniform(count, 5)];
    if (count > 4) weights.fill(0, 0, 4);
    const starts = Array.from({ length: count }, (_, i) => 20 * ((5 * i) % 12) + 3);
    const sums = uniform(30, 6);
    const wanted = sums.slice();
    starts.forEach((start, i) => {
      for (let j = 0; j < 11; j++)
        wanted[8 + j] = (wanted[8 + j] ?? 0) + (weights[i] ?? 0) * (rows[start + j] ?? 0);
    });
    addRows(sums, 8, rows, starts, weights, 11);
    assertNear(sums, wanted);
  });

  test(`products of two rows of ${count} are added as one after the other`, () => {
    const [d, taps, stride] = [2, 3, 5];
    const [left, right] = [new Float64Array((count + 4) * d), uniform(200, 7)];
    left.set(uniform(count * d, 8));
    const sums = uniform(40, 9);
    const wanted = sums.slice();
    for (let a = 0; a < d; a++) {
      for (let s = 0; s < taps; s++) {
        for (let e = 0; e < count; e++) {
          const product = (left[e * d + a] ?? 0) * (right[11 + e * taps + s] ?? 0);
          wanted[4 + a * stride + s] = (wanted[4 + a * stride + s] ?? 0) + product;
        }
      }
    }
    const rows = [
      { matrix: left, start: 0, width: d },
      { matrix: right, start: 11, width: taps },
    ] as const;
    addProducts(sums, 4, stride, ...rows, count);
    assertNear(sums, wanted);
  });
}

/** [channels * d, channels * taps]: what coefficients of a layer are multiplied by, to give its kernels. */
function kernelsOf(basis: Float64Array, channels: number, d: number, taps: number): Matrix {
  return Matrix.eye(channels).kroneckerProduct(Matrix.from1DArray(d, taps, basis));
}

const shapes = [
  { channels: 1, taps: 9, d: 2 },
  { channels: 5, taps: 9, d: 4 },
  { channels: 6, taps: 3, d: 2 },
  { channels: 7, taps: 1, d: 1 },
] as const;

for (const { channels, taps, d } of shapes) {
  const name = `${channels} channels, ${taps} taps, ${d} kernels`;

  test(`${name}: a layer in terms of its coefficients is what ml-matrix makes of it`, async () => {
    const problem = layerProblem({ outputs: 5, channels, taps }, 1);
    const { gram, cross, n } = problem.moments;
    const basis = uniform(d * taps, 2);
    const kernels = kernelsOf(basis, channels, d, taps);
    const found = coefficientProblem(problem, basis, d);
    const squares = kernels.mmul(Matrix.from1DArray(n, n, gram)).mmul(kernels.transpose());
    assertNear(new Float64Array(found.gram), Float64Array.from(squares.to1DArray()));
    const targets = Matrix.from1DArray(5, n, cross).mmul(kernels.transpose());
    assertNear(found.cross, Float64Array.from(targets.to1DArray()));
    // Of single precision.
    const wide = await iterativeSolver(singleAlgebra).problem(problem, basis, d);
    assertNear(new Float64Array(wide.gram), new Float64Array(found.gram), 1e-6);
    assertNear(wide.cross, found.cross);
  });

  test(`${name}: the best basis for given coefficients is the normal equations' solution, over groups`, async () => {
    const groups = [3, 4].map((seed): BasisProblem => {
      const problem = layerProblem({ outputs: 6, channels, taps }, seed);
      return { ...problem, importance: uniform(6, seed).map((value) => value + 1.5) };
    });
    const coefs = groups.map((_, group) =>
      uniform(6 * channels * d, 20 + group).map((value) => (value > 0.5 ? 0 : value)),
    );
    let squares = Matrix.zeros(d * taps, d * taps);
    let targets = Matrix.zeros(d * taps, 1);
    groups.forEach(({ moments: { gram, cross, n }, importance }, group) => {
      const own = Matrix.from1DArray(6, channels * d, coefs[group] ?? []);
      for (let k = 0; k < 6; k++) {
        // [channels * taps, d * taps]: what the basis is multiplied by, to give the kernels of an output.
        const design = Matrix.from1DArray(channels, d, own.getRow(k)).kroneckerProduct(Matrix.eye(taps));
        const weighted = design.transpose().mul(importance[k] ?? 0);
        squares = squares.add(weighted.mmul(Matrix.from1DArray(n, n, gram)).mmul(design));
        targets = targets.add(weighted.mmul(Matrix.columnVector(cross.slice(k * n, (k + 1) * n))));
      }
    });
    const products = groups.map((group, index) =>
      basisProducts(group, coefs[index] ?? new Float64Array(0), d),
    );
    // The ridge for kernels that nothing uses is 1e-10 of the mean of the diagonal.
    const wanted = Float64Array.from(solve(squares, targets).to1DArray());
    assertNear(bestBasis(groups, coefs, products, d), wanted, 1e-6);
    // As sums of single precision.
    for (const [index, group] of groups.entries()) {
      const own = coefs[index] ?? new Float64Array(0);
      assertNear(
        await iterativeSolver(singleAlgebra).basisProducts(group, own, d),
        products[index] ?? own,
        1e-5,
      );
    }
  });
}
