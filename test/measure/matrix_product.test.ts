import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeProduct } from "../../src/measure/matrix_product.js";
import { randomSource } from "../support/opcase.js";

test("products by the runtime are those of a loop, for one matrix after another, square or not", async () => {
  const next = randomSource(1);
  const values = (count: number): Float64Array => Float64Array.from({ length: count }, () => 2 * next() - 1);
  const runtime = await RuntimeProduct.open(1);
  try {
    const square = [7, 7, 12].map((n) => ({ n, width: n, matrix: values(n * n) }));
    const matrices = [...square, { n: 5, width: 8, matrix: new Float32Array(values(40)) }];
    for (const { n, width, matrix } of [...matrices, ...matrices]) {
      const rows = new Float32Array(values(3 * n));
      const found = await runtime.multiply(rows, matrix, n);
      assert.equal(found.length, 3 * width);
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
