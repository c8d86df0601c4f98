import assert from "node:assert/strict";
import { test } from "node:test";
import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { imagePixels, labelsOf, openDataset, type Split } from "../../src/data/index.js";

test("the same seed gives the same images, train and test differ, sizes are as asked", async () => {
  const dataset = await openDataset("synthetic:40", { seed: 3 });
  assert.equal(dataset.classNames?.length, 10);
  const [train, testing] = [await dataset.train(), await dataset.test()];
  assert.deepEqual([train.count, testing.count, train.pixels.length], [40, 10, 40 * 3072]);
  assert.deepEqual(await (await openDataset("synthetic:40", { seed: 3 })).train(), train);
  assert.notDeepEqual((await (await openDataset("synthetic:40", { seed: 4 })).train()).pixels, train.pixels);
  assert.notDeepEqual(imagePixels(testing, 0), imagePixels(train, 0));
  const large = await openDataset("synthetic:10", { imageSize: { width: 48, height: 64 } });
  const { width, height, pixels } = await large.train();
  assert.deepEqual([width, height, pixels.length], [48, 64, 10 * 3 * 48 * 64]);
});

/** Levels, 0 to 1 and centred, of one image per row, [count, 3072]. */
function centredRows(split: Split): Float64Array[] {
  return Array.from({ length: split.count }, (_, index) =>
    Float64Array.from(imagePixels(split, index), (level) => level / 255 - 0.5),
  );
}

/** Inner products of all rows, plus one for the bias of an affine classifier. */
function innerProducts(rows: readonly Float64Array[], columns: readonly Float64Array[]): Matrix {
  const inner = (a: Float64Array, b: Float64Array) => {
    let sum = 1;
    for (let index = 0; index < a.length; index += 1) sum += (a[index] ?? 0) * (b[index] ?? 0);
    return sum;
  };
  return new Matrix(rows.map((row) => columns.map((column) => inner(row, column))));
}

test("a linear classifier on the pixels fails: under 35 % at the best ridge of three", async () => {
  const dataset = await openDataset("synthetic:600");
  const [train, testing] = [await dataset.train(), await dataset.test()];
  const samples = centredRows(train);
  const targets = Matrix.zeros(train.count, 10);
  labelsOf(train).forEach((label, index) => {
    targets.set(index, label, 1);
  });
  const kernel = innerProducts(samples, samples);
  const testKernel = innerProducts(centredRows(testing), samples);
  const accuracies = [100, 500, 2500].map((ridge) => {
    const regularised = Matrix.add(kernel, Matrix.eye(train.count).mul(ridge));
    const scores = testKernel.mmul(new CholeskyDecomposition(regularised).solve(targets));
    const right = labelsOf(testing).filter((label, index) => scores.maxRowIndex(index)[1] === label);
    return right.length / testing.count;
  });
  assert.ok(Math.max(...accuracies) < 0.35, accuracies.join(", "));
});
