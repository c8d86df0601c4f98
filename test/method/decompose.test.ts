import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { allIndices, imagenetPreprocessing, openDataset } from "../../src/data/index.js";
import { runGraph } from "../../src/execute/node.js";
import { readModel } from "../../src/files/model_files.js";
import { PenniError } from "../../src/graph/errors.js";
import { float32Data, float32Tensor, int64Data } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { evaluate } from "../../src/measure/accuracy.js";
import { factorise, singularValues } from "../../src/method/basis.js";
import { decompose, decompositionCandidates } from "../../src/method/decompose.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { conv, node, randomTensor, smallGraph, smallNetwork } from "../../support/small_models.js";

interface Golden {
  readonly [model: string]: {
    readonly singular_values: Readonly<Record<string, readonly number[]>>;
    readonly svd_rank_accuracy: Readonly<Record<string, number>>;
  };
}

const readGolden = (): Golden =>
  JSON.parse(readFileSync(sharedPath("golden/resnet-cifar10.json"), "utf8")) as Golden;

function weight(graph: Graph, name: string): Tensor {
  const tensor = graph.initializers.get(name);
  assert(tensor !== undefined, `no initializer ${name}`);
  return tensor;
}

async function output(graph: Graph, x: Tensor): Promise<Float32Array> {
  const y = (await runGraph(graph, new Map([["x", x]]))).get("y");
  assert(y !== undefined);
  return float32Data(y);
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (let index = 0; index < actual.length; index++) {
    const difference = Math.abs((actual[index] ?? NaN) - (expected[index] ?? NaN));
    assert(difference <= tolerance, `element ${index}: ${actual[index]} is not ${expected[index]}`);
  }
}

for (const model of ["resnet20", "resnet56"]) {
  const skip = withoutShared(`models/${model}.onnx`);
  test(`singular values of every layer of ${model} are PyTorch's (relative 1e-4)`, { skip }, async () => {
    const graph = await readModel(sharedPath(`models/${model}.onnx`));
    const golden = Object.entries(readGolden()[model]?.singular_values ?? {});
    assert(golden.length >= 19);
    for (const [layer, expected] of golden) {
      const found = singularValues(weight(graph, `${layer}.weight`));
      expected.forEach((value, index) => {
        const relative = Math.abs((found[index] ?? NaN) - value) / value;
        assert(relative < 1e-4, `${layer}, value ${index}: ${found[index]} is not ${value}`);
      });
    }
  });
}

test("rank-5 ResNet-20 without training is as accurate as PyTorch found (first 400 test images, 84.08 % of all)", {
  skip: withoutShared("data/cifar10"),
}, async () => {
  const graph = decompose(await readModel(sharedPath("models/resnet20.onnx")), { basis: 5 });
  const split = await (await openDataset(`cifar10:${sharedPath("data/cifar10")}`)).test();
  const indices = allIndices(split).subarray(0, 400);
  const { top1 } = await evaluate(graph, split, imagenetPreprocessing, { indices });
  // Three standard deviations of a sample of 400; bench/svd-curve.ts compares all images, to the digit.
  assert(Math.abs(top1 - 0.8408) < 0.055, `${top1}`);
});

test("basis rows are orthonormal and coefficients carry the singular values", () => {
  const rows = float32Data(randomTensor([40, 9], 1));
  const { coefs, basis } = factorise(rows, 9, 4);
  for (let i = 0; i < 4; i++) {
    for (let j = 0; j < 4; j++) {
      let product = 0;
      for (let tap = 0; tap < 9; tap++) product += (basis[i * 9 + tap] ?? 0) * (basis[j * 9 + tap] ?? 0);
      assert(Math.abs(product - (i === j ? 1 : 0)) < 1e-6);
    }
  }
  const values = singularValues({ ...randomTensor([40, 9], 1), dims: [40, 1, 3, 3] });
  for (let b = 0; b < 4; b++) {
    const squares = coefs.filter((_, index) => index % 4 === b).reduce((sum, value) => sum + value ** 2, 0);
    assert(Math.abs(Math.sqrt(squares) - (values[b] ?? 0)) < 1e-5);
  }
});

test("a full-rank factorisation gives the matrix back (1e-6)", () => {
  const rows = float32Data(randomTensor([30, 9], 2));
  const { coefs, basis } = factorise(rows, 9, 9);
  const product = rows.map((_, index) => {
    const [row, tap] = [Math.floor(index / 9), index % 9];
    return Array.from({ length: 9 }, (_, b) => (coefs[row * 9 + b] ?? 0) * (basis[b * 9 + tap] ?? 0)).reduce(
      (sum, value) => sum + value,
      0,
    );
  });
  assertClose(product, rows, 1e-6);
});

test("the decomposed graph is Conv(x, Reshape(MatMul(coefs, basis), shape)) and verifies", () => {
  const graph = decompose(smallNetwork(), { basis: 3 });
  verifyTypes(graph);
  const [layer, ...more] = findDecompositions(graph);
  assert.equal(more.length, 0);
  assert(layer !== undefined);
  const { K, C, R, S, d, coefs, basis } = layer;
  assert.deepEqual({ K, C, R, S, d }, { K: 4, C: 2, R: 3, S: 3, d: 3 });
  assert.deepEqual([coefs, basis], ["w1.coefs", "w1.basis"]);
  assert.deepEqual(weight(graph, coefs).dims, [4, 2, 3]);
  assert.deepEqual(weight(graph, basis).dims, [3, 9]);
  assert.deepEqual([...int64Data(weight(graph, "w1.shape"))], [4n, 2n, 3n, 3n]);
  assert(!graph.initializers.has("w1"));
});

test("with 8 of 8 possible directions the network computes the same (1e-5)", async () => {
  const layer = conv({ name: "y", input: "x", weight: "w", kernel: 3 });
  // Two inputs and nine outputs whose 18 kernels lie in 8 directions.
  const { coefs, basis } = factorise(float32Data(randomTensor([18, 9], 12)), 9, 8);
  const kernels = Array.from({ length: 18 * 9 }, (_, at) =>
    basis.reduce(
      (sum, tap, from) =>
        from % 9 === at % 9 ? sum + (coefs[Math.floor(at / 9) * 8 + Math.floor(from / 9)] ?? 0) * tap : sum,
      0,
    ),
  );
  const graph = smallGraph([2, 2, 8, 8], [layer], { w: float32Tensor([9, 2, 3, 3], kernels) });
  const decomposed = decompose(graph, { basis: 8 });
  assert.equal(findDecompositions(decomposed).length, 1);
  const x = randomTensor([2, 2, 8, 8], 11);
  assertClose(await output(decomposed, x), await output(graph, x), 1e-5);
});

test("a weight that two convolutions share is decomposed once", async () => {
  const graph = smallGraph(
    [1, 3, 6, 6],
    [
      conv({ name: "a", input: "x", weight: "w", kernel: 3 }),
      conv({ name: "b", input: "a", weight: "w", kernel: 3 }),
      node("Add", ["a", "b"], "y"),
    ],
    { w: randomTensor([3, 3, 3, 3], 1), "w.coefs": randomTensor([1], 2) },
  );
  const decomposed = decompose(graph, { basis: 2 });
  verifyTypes(decomposed);
  assert.equal(decomposed.nodes.filter((each) => each.op === "MatMul").length, 1);
  // "w.coefs" is taken, though by nothing that is read.
  assert.deepEqual(
    findDecompositions(decomposed).map((layer) => layer.coefs),
    ["w.coefs_2", "w.coefs_2"],
  );
});

test("layers that cannot share a basis stay, with a reason", () => {
  const graph = smallNetwork();
  const reasons = decompositionCandidates(graph).map((decision) =>
    decision.layer === undefined ? decision.reason : undefined,
  );
  assert.equal(reasons[0], undefined);
  assert.match(reasons[1] ?? "", /1x1/);
  assert.match(reasons[2] ?? "", /depthwise/);
  const unchanged = decompose(graph, { basis: 9 });
  assert.equal(findDecompositions(unchanged).length, 0);
  assert.equal(unchanged.nodes.length, graph.nodes.length);
});

for (const basis of [0, -1, 2.5, Number.NaN]) {
  test(`a basis of ${basis} kernels is refused`, () => {
    assert.throws(
      () => decompose(smallNetwork(), { basis }),
      (error) => error instanceof PenniError && error.code === "bad-option",
    );
  });
}
