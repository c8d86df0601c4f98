import assert from "node:assert/strict";
import { test } from "node:test";
import { attributes, float } from "../../src/graph/attributes.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Tensor } from "../../src/graph/types.js";
import { batchNormalizationTraining } from "../../src/ops/composites/batch_normalization_training.js";
import { mul, reduceSum } from "../../src/ops/core/emit.js";
import { buildGradients } from "../../src/train/gradients.js";
import { assertNear, builderOver, compute, differences, randomIn } from "./support.js";

interface Case {
  readonly dims: readonly number[];
  readonly epsilon: number;
  readonly momentum: number;
  readonly opset: number;
}

const cases: readonly Case[] = [
  { dims: [4, 3, 2, 3], epsilon: 1e-5, momentum: 0.9, opset: 13 },
  { dims: [5, 2], epsilon: 1e-3, momentum: 0.5, opset: 17 },
  { dims: [3, 2, 4], epsilon: 1e-5, momentum: 0.99, opset: 21 },
];

/** Statistics of channel c of x [N, C, ...] in float64. */
function statistics(x: readonly number[], { dims, epsilon }: Case, c: number) {
  const [, channels = 1, ...space] = dims;
  const size = space.reduce((product, dim) => product * dim, 1);
  const values = x.filter((_, index) => Math.floor(index / size) % channels === c);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, variance, count: values.length, deviation: Math.sqrt(variance + epsilon) };
}

/** torch.nn.BatchNorm in training mode, by its documentation. */
function normalize(
  x: readonly number[],
  scale: readonly number[],
  bias: readonly number[],
  shape: Case,
): number[] {
  const [, channels = 1, ...space] = shape.dims;
  const size = space.reduce((product, dim) => product * dim, 1);
  const known = scale.map((_, c) => statistics(x, shape, c));
  return x.map((value, index) => {
    const c = Math.floor(index / size) % channels;
    const { mean, deviation } = known[c] ?? { mean: NaN, deviation: NaN };
    return ((value - mean) / deviation) * (scale[c] ?? 0) + (bias[c] ?? 0);
  });
}

for (const each of cases) {
  const { dims, epsilon, momentum, opset } = each;
  test(`BatchNormalization on batch statistics of [${dims.join(", ")}]: output, gradients, running statistics (1e-5)`, async () => {
    const channels = dims[1] ?? 1;
    const feeds = new Map<string, Tensor>([
      ["x", randomIn(dims, 1, -1, 3)],
      ["scale", randomIn([channels], 2, 0.5, 1.5)],
      ["bias", randomIn([channels], 3)],
      ["mean", randomIn([channels], 4)],
      ["variance", randomIn([channels], 5, 0.5, 2)],
      ["weights", randomIn(dims, 6)],
    ]);
    const numbers = (name: string): number[] => {
      const tensor = feeds.get(name);
      assert.ok(tensor);
      return Array.from(float32Data(tensor));
    };
    const b = builderOver(feeds, opset);
    const training = batchNormalizationTraining(b, {
      name: "bn",
      op: "BatchNormalization",
      domain: "",
      inputs: ["x", "scale", "bias", "mean", "variance"],
      outputs: ["y"],
      attributes: attributes({ epsilon: float(epsilon), momentum: float(momentum) }),
    });
    b.append(training);
    const [, , , runningMean = "", runningVariance = ""] = training.outputs;
    const product = mul(b, "y", "weights");
    const all = dims.map((_, axis) => axis);
    const loss = reduceSum(b, product, all, false);
    const wanted = ["x", "scale", "bias"];
    const gradients = buildGradients(b, [...b.nodes], loss, wanted);
    const names = wanted.map((name) => gradients.get(name) ?? "");
    names.forEach((name, index) => {
      assert.deepEqual(b.dims(name), feeds.get(wanted[index] ?? "")?.dims);
    });
    const results = await compute(b, feeds, ["y", runningMean, runningVariance, ...names]);
    const [y = [], newMean = [], newVariance = [], dx = [], dScale = [], dBias = []] = results;

    const [x, scale, bias, weights] = ["x", "scale", "bias", "weights"].map(numbers);
    assert.ok(x && scale && bias && weights);
    assertNear(y, normalize(x, scale, bias, each), 1e-5, "y");
    const weighted = (output: readonly number[]): number =>
      output.reduce((sum, value, index) => sum + value * (weights[index] ?? 0), 0);
    assertNear(
      dx,
      differences((at) => weighted(normalize(at, scale, bias, each)), x),
      1e-5,
      "dx",
    );
    assertNear(
      dScale,
      differences((at) => weighted(normalize(x, at, bias, each)), scale),
      1e-5,
      "dscale",
    );
    assertNear(
      dBias,
      differences((at) => weighted(normalize(x, scale, at, each)), bias),
      1e-5,
      "dbias",
    );

    const batch = scale.map((_, c) => statistics(x, each, c));
    const blend = (old: number, now: number): number => momentum * old + (1 - momentum) * now;
    assertNear(
      newMean,
      numbers("mean").map((old, c) => blend(old, batch[c]?.mean ?? NaN)),
      1e-5,
      "running mean",
    );
    const unbiased = batch.map(({ variance, count }) => (variance * count) / (count - 1));
    assertNear(
      newVariance,
      numbers("variance").map((old, c) => blend(old, unbiased[c] ?? NaN)),
      1e-5,
      "running variance",
    );
  });
}
