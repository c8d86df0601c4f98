import assert from "node:assert/strict";
import { test } from "node:test";
import { blockSize } from "../../src/execute/block_size.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Tensor, scalarTensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { plainRule } from "../../src/method/defaults.js";
import { trainableParameters } from "../../src/method/parameters.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { DropoutFactors } from "../../src/train/dropout.js";
import { buildTrainingStep } from "../../src/train/step.js";
import { randomTensor } from "../../support/small_models.js";
import { TINY_SIZE, tinyCnnWith, tinyDropoutCnn } from "../../support/tiny_cnn.js";
import { runTrainingStep } from "../../support/training_step.js";

const BATCH = 3;
const shapes = [
  [BATCH, 8, TINY_SIZE, TINY_SIZE],
  [BATCH, 12],
] as const;

const step = (dims: readonly number[], ratio: number, input: string) => ({ input, dims, ratio });

const factorsOf = (number: number, seed = 7): readonly Tensor[] => {
  const values = [step(shapes[0], 0.25, "map"), step(shapes[1], 0.5, "features")];
  const drawn = new DropoutFactors([seed, 0]).draw(values, number);
  return values.map(({ input, dims }) => float32Tensor(dims, drawn.get(input) ?? []));
};

test("factors are 0 as often as the ratio says, else what keeps the mean; they follow from the step alone", () => {
  const dims = [400, 500];
  for (const ratio of [0.1, 0.5, 0.9]) {
    const factors = new DropoutFactors([3, 0]);
    const first = Float32Array.from(factors.draw([step(dims, ratio, "x")], 5).get("x") ?? []);
    const left = first.filter((factor) => factor === 0).length / first.length;
    // Five standard deviations of a share of 200,000 draws.
    assert.ok(Math.abs(left - ratio) < 5 * Math.sqrt((ratio * (1 - ratio)) / first.length), `${left}`);
    assert.deepEqual(new Set(first), new Set([0, Math.fround(1 / (1 - ratio))]));
    factors.draw([step(dims, ratio, "x")], 6);
    assert.deepEqual(factors.draw([step(dims, ratio, "x")], 5).get("x"), first);
    for (const other of [new DropoutFactors([4, 0]), new DropoutFactors([3, 2])])
      assert.notDeepEqual(other.draw([step(dims, ratio, "x")], 5).get("x"), first);
    assert.notDeepEqual(factors.draw([step(dims, ratio, "x")], 6).get("x"), first);
  }
});

for (const layout of ["plain", "blocked"] as const) {
  test(`a step with Dropout is that of the network times its factors (${layout})`, async () => {
    const block = layout === "plain" ? undefined : await blockSize();
    const factors = factorsOf(1);
    const [map, features] = factors;
    assert.ok(map !== undefined && features !== undefined);
    const run = (network: Graph, own: readonly Tensor[]) => {
      const names = [...trainableParameters(network).keys()].filter((name) => !name.endsWith("/second"));
      return runTrainingStep(
        fixBatch(network, BATCH),
        {
          trained: new Map(names.map((name) => [name, plainRule])),
          optimizer: { momentum: 0.9, weightDecay: 1e-3 },
          learningRate: 0.1,
          l1Strength: 0,
          batchNormalization: "batch",
          ...(block === undefined ? {} : { block }),
        },
        { images: randomTensor([BATCH, 3, TINY_SIZE, TINY_SIZE], 2), labels: [0, 4, 9] },
        { velocities: new Map(), factors: own },
      );
    };
    const network = importModel(tinyDropoutCnn(), { keepsDropout: true });
    const [found, expected, undropped] = [
      await run(network, factors),
      await run(tinyCnnWith("Mul", [map, features]), []),
      await run(importModel(tinyDropoutCnn()), []),
    ];
    assert.ok(Math.abs(found.loss - expected.loss) < 1e-5 * expected.loss, `${found.loss} ${expected.loss}`);
    assert.ok(Math.abs(found.loss - undropped.loss) > 1e-3);
    for (const [name, values] of expected.parameters) {
      const own = found.parameters.get(name);
      assert.ok(own !== undefined, name);
      values.forEach((value, index) => {
        assert.ok(Math.abs(value - (own[index] ?? Number.NaN)) < 1e-5, `${name} ${index}`);
      });
    }
  });
}

test("a network in use leaves nothing out, nor does a training that keeps its normalizations", () => {
  const network = fixBatch(importModel(tinyDropoutCnn(), { keepsDropout: true }), BATCH);
  assert.equal(network.nodes.filter(({ op }) => op === "Dropout").length, 2);
  assert.ok(importModel(tinyDropoutCnn()).nodes.every(({ op }) => op !== "Dropout"));
  const names = [...trainableParameters(network).keys()];
  const options = {
    trained: new Map(names.map((name) => [name, plainRule])),
    loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
    optimizer: { momentum: 0, weightDecay: 0 },
  } as const;
  const dropped = (mode: "batch" | "frozen") =>
    buildTrainingStep(network, new Set(names), { ...options, batchNormalization: mode }).dropped;
  assert.deepEqual(dropped("frozen"), []);
  assert.deepEqual(
    dropped("batch").map(({ dims, ratio }) => [dims, ratio]),
    [
      [[...shapes[0]], 0.25],
      [[...shapes[1]], 0.5],
    ],
  );
});

test("a share that is impossible, or computed, is refused by name", () => {
  for (const ratio of [1, -0.5, Number.NaN]) {
    const network = fixBatch(tinyCnnWith("Dropout", [scalarTensor(ratio), scalarTensor(0.5)]), BATCH);
    const names = new Set(trainableParameters(network).keys());
    assert.throws(
      () =>
        buildTrainingStep(network, names, {
          trained: new Map([...names].map((name) => [name, plainRule])),
          batchNormalization: "batch",
          loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
          optimizer: { momentum: 0, weightDecay: 0 },
        }),
      { code: "unsupported", message: /Dropout0.*from 0 to below 1/ },
    );
  }
});
