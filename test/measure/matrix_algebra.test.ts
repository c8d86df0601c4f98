import assert from "node:assert/strict";
import { test } from "node:test";
import { Matrix } from "ml-matrix";
import { RuntimeAlgebra } from "../../src/measure/matrix_algebra.js";
import { randomSource } from "../../support/opcase.js";

test("products by the runtime are those of a loop, for one matrix after another, symmetric or not", async () => {
  const next = randomSource(1);
  const values = (count: number): Float64Array => Float64Array.from({ length: count }, () => 2 * next() - 1);
  const runtime = await RuntimeAlgebra.open(1);
  try {
    const shapes = [
      [3, 7, 7],
      [3, 5, 8],
      [200, 12, 12],
    ] as const;
    for (const [count, n, width] of [...shapes, ...shapes]) {
      const rows = new Float32Array(values(count * n));
      const own = values(n * width);
      // Symmetric where it is square; twice, as the runtime keeps the last one.
      const matrix = own.map((value, at) =>
        n === width ? value + (own[(at % n) * n + Math.floor(at / n)] ?? 0) : value,
      );
      const found =
        n === width
          ? await runtime.multiplySymmetric(rows, matrix)
          : await runtime.multiply(rows, new Float32Array(matrix), n);
      assert.equal(found.length, count * width);
      found.forEach((value, at) => {
        let [sum, size] = [0, 0];
        for (let i = 0; i < n; i++) {
          const term = (rows[Math.floor(at / width) * n + i] ?? 0) * (matrix[i * width + (at % width)] ?? 0);
          sum += term;
          size += Math.abs(term);
        }
        assert.ok(Math.abs(value - sum) <= 1e-6 * size, `${value} is not ${sum}`);
      });
    }
  } finally {
    await runtime.release();
  }
});

for (const [channels, taps, d] of [
  [1, 9, 2],
  [5, 9, 4],
  [4, 3, 3],
] as const) {
  test(`${channels} channels of ${taps} taps projected on ${d} kernels are what ml-matrix makes of them`, async () => {
    const next = randomSource(channels);
    const n = channels * taps;
    const basis = Float64Array.from({ length: d * taps }, () => 2 * next() - 1);
    const half = Matrix.from1DArray(
      n,
      n,
      Array.from({ length: n * n }, () => 2 * next() - 1),
    );
    const matrix = half.mmul(half.transpose());
    const kernels = Matrix.eye(channels).kroneckerProduct(Matrix.from1DArray(d, taps, basis));
    const wanted = kernels.mmul(matrix).mmul(kernels.transpose()).to1DArray();
    const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const runtime = await RuntimeAlgebra.open(1);
    try {
      const found = await runtime.project(Float64Array.from(matrix.to1DArray()), basis, taps);
      assert.equal(found.length, wanted.length);
      // Differences are those of single precision.
      found.forEach((value, at) => {
        assert.ok(
          Math.abs(value - (wanted[at] ?? Number.NaN)) <= 1e-5 * largest,
          `${value}, not ${wanted[at]}`,
        );
      });
    } finally {
      await runtime.release();
    }
  });
}
