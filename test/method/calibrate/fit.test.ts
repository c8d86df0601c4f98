import assert from "node:assert/strict";
import { test } from "node:test";
import { factorise } from "../../../src/method/basis.js";
import { allocate, type LayerOption } from "../../../src/method/calibrate/allocation.js";
import type { BasisProblem } from "../../../src/method/calibrate/basis_fit.js";
import { fitBasis, fitSparse, fittedKernels, isWide } from "../../../src/method/calibrate/fit.js";
import { iterativeSolver } from "../../../src/method/calibrate/iterative_solver.js";
import { type CoefficientSolver, exactSolver } from "../../../src/method/calibrate/solver.js";
import { basisSizes } from "../../../src/method/calibrate/ways.js";
import { errorOf, inner, layerProblem, singleAlgebra, times, uniform } from "./support.js";

const all = (fit: { rows: readonly { path: { order: Int32Array } }[] }): number[] =>
  fit.rows.map(({ path }) => path.order.length);

/** Sum over outputs of the squared error of merged kernels. */
function totalError(problem: ReturnType<typeof layerProblem>, kernels: ArrayLike<number>): number {
  const { n, gram, cross, variance } = problem.moments;
  return variance.reduce((sum, whole, k) => {
    const row = Float64Array.from({ length: n }, (_, i) => kernels[k * n + i] ?? 0);
    return sum + errorOf(gram, cross.slice(k * n, (k + 1) * n), whole, row);
  }, 0);
}

test("a layer whose kernels share a basis of d is found exactly, in every group", async () => {
  const [taps, d, channels, outputs] = [9, 3, 4, 6];
  const basis = uniform(d * taps, 1);
  const groups = [2, 3].map((seed) => {
    const coefs = uniform(outputs * channels * d, seed);
    const weight = Float64Array.from({ length: outputs * channels * taps }, (_, index) => {
      const kernel = Math.floor(index / taps);
      let sum = 0;
      for (let b = 0; b < d; b++)
        sum += (coefs[kernel * d + b] ?? 0) * (basis[b * taps + (index % taps)] ?? 0);
      return sum;
    });
    return layerProblem({ outputs, channels, taps }, seed + 10, weight);
  });
  const fit = await fitBasis(groups, d, exactSolver);
  for (const row of fit.rows) assert.ok(row.error < 1e-8, `${row.error}`);
  const kernels = fittedKernels(await fitSparse(groups, fit, all(fit), exactSolver));
  groups
    .flatMap((group) => [...Array.from(group.weight)])
    .forEach((value, index) => {
      assert.ok(Math.abs(value - (kernels[index] ?? Number.NaN)) < 1e-4, `${index}`);
    });
});

test("the fit beats the SVD of the kernels, and predicts its own error", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const problem = layerProblem({ outputs: 5, channels: 3, taps: 9, noise: 0.01 }, 100 + seed);
    const weight = Float32Array.from(problem.weight);
    for (const d of [2, 4, 6]) {
      const fit = await fitBasis([problem], d, exactSolver);
      const kernels = fittedKernels(await fitSparse([problem], fit, all(fit), exactSolver, 0));
      const error = totalError(problem, kernels);
      const predicted = fit.rows.reduce((sum, row) => sum + row.error, 0);
      assert.ok(Math.abs(error - predicted) < 1e-4 * (1 + predicted), `${error} ${predicted}`);
      const svd = factorise(weight, 9, d);
      const plain = fittedKernels({
        d,
        basis: Float64Array.from(svd.basis),
        coefs: Float64Array.from(svd.coefs),
      });
      assert.ok(error <= totalError(problem, plain) + 1e-6);
    }
  }
});

test("sparse coefficients keep as many as asked, and rounds of refitting only help", async () => {
  const problem = layerProblem({ outputs: 6, channels: 4, taps: 9, noise: 0.01 }, 7);
  const fit = await fitBasis([problem], 5, exactSolver);
  const kept = fit.rows.map((_, k) => 3 + k);
  const once = await fitSparse([problem], fit, kept, exactSolver, 0);
  const again = await fitSparse([problem], fit, kept, exactSolver);
  for (const { coefs } of [once, again]) {
    const counts = kept.map(
      (_, k) => coefs.slice(k * 20, (k + 1) * 20).filter((value) => value !== 0).length,
    );
    assert.deepEqual(counts, kept);
  }
  const before = totalError(problem, fittedKernels(once));
  const predicted = fit.rows.reduce(
    (sum, { path, error }, k) => sum + error + (path.error[19 - (kept[k] ?? 0)] ?? 0),
    0,
  );
  assert.ok(Math.abs(before - predicted) < 1e-4 * (1 + predicted));
  assert.ok(totalError(problem, fittedKernels(again)) <= before + 1e-6);
});

/** A group of 100 channels whose inputs vary together in some directions: 700 columns with 7 basis kernels. */
function wideProblem(): BasisProblem {
  const [channels, taps, outputs, directions] = [100, 9, 3, 6];
  const n = channels * taps;
  const mixed = uniform(n * directions, 1);
  const gram = Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = i === j ? 0.5 : 0;
    for (let t = 0; t < directions; t++)
      sum += (mixed[i * directions + t] ?? 0) * (mixed[j * directions + t] ?? 0);
    return sum;
  });
  const weight = uniform(outputs * n, 2);
  const rows = Array.from({ length: outputs }, (_, k) => weight.slice(k * n, (k + 1) * n));
  const cross = Float64Array.from(rows.flatMap((row) => [...times(gram, row)]));
  const variance = Float64Array.from(rows, (row) => inner(row, times(gram, row)) + 0.1);
  const moments = {
    ...{ rows: 1e4, n, outputs, gram, cross, variance },
    inputMean: new Float64Array(n),
    targetMean: new Float64Array(outputs),
  };
  return { moments, taps, channels, importance: Float64Array.of(1, 2, 0.5), weight };
}

test("a wide layer loses little more by rounds and products than one by one, however far the fit looks", async () => {
  const problem = wideProblem();
  const d = 7;
  assert.ok(isWide(problem.channels * d, problem.moments.outputs));
  const [kept, all] = [280, 700];
  const weighted = async (solver: CoefficientSolver, least: number): Promise<number> => {
    const fit = await fitBasis([problem], d, solver, { least });
    const sparse = await fitSparse([problem], fit, [kept, kept, kept], solver);
    const { n, gram, cross, variance } = problem.moments;
    const kernels = Float64Array.from(fittedKernels(sparse));
    return variance.reduce((sum, whole, k) => {
      const row = kernels.slice(k * n, (k + 1) * n);
      return sum + (problem.importance[k] ?? 0) * errorOf(gram, cross.slice(k * n, (k + 1) * n), whole, row);
    }, 0);
  };
  const exact = await weighted(exactSolver, 0);
  const wide = iterativeSolver(singleAlgebra);
  const whole = await weighted(wide, 0);
  assert.ok(whole <= 1.08 * exact, `${whole} where ${exact} is possible`);
  const limited = await weighted(wide, kept / all);
  assert.ok(limited <= 1.08 * exact, `${limited} where ${exact} is possible`);
});

test("basis sizes leave something to save", () => {
  assert.deepEqual(basisSizes(9), [2, 3, 4, 5, 6, 7]);
  assert.deepEqual(basisSizes(3), [2]);
  assert.deepEqual(basisSizes(1), []);
});

const dense: LayerOption = {
  form: "kept",
  d: 0,
  fixedMacs: 100,
  macsPerCoefficient: 0,
  most: 100,
  rows: [],
};

/** A layer with ten coefficients in each of two outputs. */
function sparse(d: number, fixedMacs: number, scale: number): LayerOption {
  const added = Float64Array.from({ length: 10 }, (_, m) => scale * (m + 1) ** 2);
  return {
    form: "new basis",
    d,
    fixedMacs,
    macsPerCoefficient: 4,
    most: 100,
    rows: [
      { base: scale, added },
      { base: scale, added },
    ],
  };
}

const cost = (choices: readonly { macs: number }[]): number =>
  choices.reduce((sum, { macs }) => sum + macs, 0);

test("a budget is met and used; what matters more keeps more", () => {
  const layers = [
    [dense, sparse(4, 10, 1)],
    [dense, sparse(4, 10, 5)],
  ];
  for (let budget = 22; budget <= 200; budget += 3) {
    const choices = allocate(layers, budget);
    assert.ok(cost(choices) <= budget);
    // A coefficient costs 4; a layer that uses all of an option's coefficients can stop 10 short of dense.
    assert.ok(cost(choices) > budget - 14 || cost(choices) === 200, `${cost(choices)} of ${budget}`);
    const kept = choices.map((choice) => choice.macs);
    assert.ok((kept[0] ?? 0) <= (kept[1] ?? 0));
  }
  assert.deepEqual(
    allocate(layers, 200).map((choice) => choice.option),
    [0, 0],
  );
  assert.throws(() => allocate(layers, 19), { code: "bad-option" });
});

test("the choice is the best there is, where curves are convex", () => {
  const layers = [[sparse(2, 0, 1)], [sparse(2, 0, 3)]];
  for (const budget of [40, 60, 100]) {
    const found = allocate(layers, budget).reduce((sum, choice) => sum + choice.error, 0);
    let best = Number.POSITIVE_INFINITY;
    const loss = (scale: number, kept: number): number =>
      scale + (kept === 10 ? 0 : scale * (10 - kept) ** 2);
    for (let a = 0; a <= 10; a++)
      for (let b = 0; b <= 10; b++)
        for (let c = 0; c <= 10; c++) {
          const d = Math.min(10, budget / 4 - a - b - c);
          if (d >= 0) best = Math.min(best, loss(1, a) + loss(1, b) + loss(3, c) + loss(3, d));
        }
    assert.ok(found <= best * 1.02 + 1e-9, `${found} where ${best} is possible`);
  }
});
