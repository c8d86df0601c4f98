import assert from "node:assert/strict";
import { test } from "node:test";
import { inverse, Matrix } from "ml-matrix";
import { iterativeSolver } from "../../../src/method/calibrate/iterative_solver.js";
import { coefficientsOn, removalPath } from "../../../src/method/calibrate/removal.js";
import { exactSolver } from "../../../src/method/calibrate/solver.js";
import { Cholesky } from "../../../src/method/calibrate/symmetric.js";
import { definite, errorOf, singleAlgebra, times, uniform } from "./support.js";

const near = (a: number, b: number, tolerance: number): void =>
  assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${a} is not ${b}`);

function allNear(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(found.length, expected.length);
  for (let index = 0; index < expected.length; index++) {
    near(found[index] ?? Number.NaN, expected[index] ?? Number.NaN, tolerance);
  }
}

test("factor, solution and inverse agree with ml-matrix", () => {
  for (const n of [1, 2, 7, 20]) {
    const matrix = definite(n, n);
    const factor = Cholesky.of(matrix, n);
    const expected = inverse(Matrix.from1DArray(n, n, matrix)).to1DArray();
    allNear(factor.inverse(), expected, 1e-9);
    const right = uniform(n, 3);
    const solution = right.slice();
    factor.solveInPlace(solution);
    allNear(times(matrix, solution), right, 1e-9);
  }
});

test("a matrix that is not positive definite is refused", () => {
  assert.throws(() => Cholesky.of(Float64Array.of(1, 2, 2, 1), 2), { code: "internal" });
  assert.throws(() => Cholesky.of(Float64Array.of(Number.NaN), 1), { code: "internal" });
});

test("moments that rounding has made indefinite still have a solution near the right one", () => {
  // Rank one, with an error of 1e-7 in one place: single precision.
  const matrix = Float64Array.of(1, 1, 1, 1 - 1e-7);
  const right = Float64Array.of(1, 1);
  Cholesky.ofMoments(matrix, 2).solveInPlace(right);
  near((right[0] ?? 0) + (right[1] ?? 0), 1, 1e-4);
  assert.throws(() => Cholesky.ofMoments(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2), {
    code: "internal",
  });
});

/** A problem of one output whose best coefficients are random. */
function oneOutput(columns: number, seed: number) {
  const gram = definite(columns, seed);
  const coefs = uniform(columns, seed + 1);
  const cross = times(gram, coefs);
  const whole = errorOf(gram, cross, 0, coefs);
  const variance = Float64Array.of(0.1 - whole);
  return { columns, gram, cross, variance, importance: Float64Array.of(1), coefs };
}

test("each removal is the cheapest one, and its cost is what refitting the others leaves", () => {
  // More columns than steps of elimination are made together.
  for (const columns of [8, 21]) checkRemovals(columns);
});

function checkRemovals(columns: number): void {
  for (let seed = 0; seed < 20; seed++) {
    const problem = oneOutput(columns, seed);
    const { gram, cross, coefs } = problem;
    const inverted = Cholesky.of(gram, columns).inverse();
    const { order, error } = removalPath(inverted, coefs);
    assert.deepEqual([...order.toSorted()], [...Array(columns).keys()]);
    const errorOn = (support: Int32Array): number =>
      errorOf(gram, cross, problem.variance[0] ?? 0, coefficientsOn(support, problem, cross)) - 0.1;
    for (let removed = 0; removed < columns; removed++) {
      const left = order.slice(removed).sort();
      const without = (column: number): number => errorOn(left.filter((other) => other !== column));
      near(error[removed] ?? Number.NaN, without(order[removed] ?? -1), 1e-8);
      for (const column of left) assert.ok(without(column) >= (error[removed] ?? 0) - 1e-9);
    }
  }
}

test("the solver for wide layers finds the exact solver's coefficients", async () => {
  const columns = 12;
  const gram = definite(columns, 5);
  const coefs = uniform(3 * columns, 6);
  const cross = Float64Array.from(
    [0, 1, 2].flatMap((k) => [...times(gram, coefs.slice(k * columns, (k + 1) * columns))]),
  );
  const problem = {
    columns,
    gram,
    cross,
    variance: Float64Array.of(9, 9, 9),
    importance: Float64Array.of(1, 2, 3),
  };
  const wide = iterativeSolver(singleAlgebra);
  const dense = await wide.dense(problem);
  allNear(dense.coefs, coefs, 1e-3);
  const supports = [
    Int32Array.of(0, 3, 4, 9),
    new Int32Array(0),
    Int32Array.from({ length: columns }, (_, i) => i),
  ];
  const { coefs: expected, error } = await exactSolver.on(problem, supports);
  const found = await wide.on(problem, supports);
  allNear(found.coefs, expected, 1e-3);
  near(found.error, error, 1e-6);
  // From coefficients that come near, what lies outside the supports goes at once; steps end when they gain little.
  const close = (values: Float64Array): Float64Array =>
    values.map((value, at) => value + 1e-3 * Math.sin(at));
  near((await wide.dense(problem, close(coefs))).error, dense.error, 1e-3);
  near((await wide.on(problem, supports, close(coefs))).error, error, 1e-3);
});

test("removal in rounds gives nested paths whose errors rise to the whole variance, near the exact ones", async () => {
  const columns = 40;
  const problem = oneOutput(columns, 11);
  const exact = (await exactSolver.paths(problem, problem.coefs, 0))[0];
  const [rough] = await iterativeSolver(singleAlgebra).paths(problem, problem.coefs, 0);
  assert.ok(exact !== undefined && rough !== undefined);
  near(rough.error, exact.error, 1e-6);
  assert.deepEqual(
    [...rough.path.order].sort((a, b) => a - b),
    [...Array(columns).keys()],
  );
  for (const [m, value] of rough.path.error.entries()) {
    assert.ok(value >= (rough.path.error[m - 1] ?? 0) - 1e-12);
  }
  near(rough.path.error.at(-1) ?? 0, exact.path.error.at(-1) ?? 0, 1e-6);
  const half = columns / 2;
  const supports = [rough.path.order.slice(half).sort()];
  const { coefs, error } = await exactSolver.on(problem, supports);
  const found = errorOf(problem.gram, problem.cross, problem.variance[0] ?? 0, coefs);
  near(error, found, 1e-9);
  const best = (exact.path.error[half - 1] ?? 0) + exact.error;
  assert.ok(found <= 3 * best, `half the coefficients: ${found}, one by one ${best}`);
});
