import assert from "node:assert/strict";
import { test } from "node:test";
import { float32Data, float32Tensor, scalarTensor } from "../../src/graph/tensor.js";
import type { Tensor } from "../../src/graph/types.js";
import { emitUpdate, type SgdOptions, type UpdateRule } from "../../src/train/optimizer.js";
import { assertNear, builderOver, compute, randomIn } from "./support.js";

interface Setting {
  readonly rule: UpdateRule;
  readonly options: SgdOptions;
  readonly learningRate: number;
  readonly l1: number;
  readonly mask?: readonly number[];
  /** Of the parameter; a vector where absent. */
  readonly dims?: readonly number[];
}

interface Values {
  readonly parameter: readonly number[];
  readonly velocity: readonly number[];
}

const plain: UpdateRule = { l1: "none", masked: false, rate: 1 };
const sgd: SgdOptions = { momentum: 0.9, weightDecay: 0.01 };
const COUNT = 24;

/** One step in ONNX Runtime. */
async function step(before: Values, gradient: ArrayLike<number>, setting: Setting): Promise<Values> {
  const { rule, options, learningRate, l1, mask, dims } = setting;
  const vector = (values: ArrayLike<number>): Tensor => float32Tensor(dims ?? [values.length], values);
  const feeds = new Map<string, Tensor>([
    ["p", vector(before.parameter)],
    ["v", vector(before.velocity)],
    ["g", vector(gradient)],
    ["lr", scalarTensor(learningRate)],
    ["l1", scalarTensor(l1)],
    ...(mask === undefined ? [] : [["mask", vector(mask)] as const]),
  ]);
  const b = builderOver(feeds);
  const names = { parameter: "p", velocity: "v", gradient: "g", mask: rule.masked ? "mask" : undefined };
  const update = emitUpdate(b, names, rule, { learningRate: "lr", l1Strength: "l1" }, options);
  const [parameter, velocity] = await compute(b, feeds, [update.parameter, update.velocity]);
  return { parameter: Array.from(parameter ?? []), velocity: Array.from(velocity ?? []) };
}

/**
 * torch.optim.SGD with nesterov=True as its documentation states it, in float64:
 * g = g + wd·p; b = g at the first step, else momentum·b + g; p = p - lr·(g + momentum·b).
 */
class TorchSgd {
  private buffer: readonly number[] | undefined;
  constructor(
    private readonly options: SgdOptions,
    private readonly learningRate: number,
  ) {}

  step(parameter: readonly number[], gradient: readonly number[]): readonly number[] {
    const { momentum, weightDecay } = this.options;
    const g = gradient.map((value, index) => value + weightDecay * (parameter[index] ?? 0));
    const before = this.buffer;
    const buffer =
      before === undefined ? g : g.map((value, index) => momentum * (before[index] ?? 0) + value);
    this.buffer = buffer;
    return parameter.map(
      (value, index) => value - this.learningRate * ((g[index] ?? 0) + momentum * (buffer[index] ?? 0)),
    );
  }
}

const start: Values = {
  parameter: Array.from(float32Data(randomIn([COUNT], 1))),
  velocity: Array.from({ length: COUNT }, () => 0),
};
const gradients = [2, 3, 4].map((seed) => Array.from(float32Data(randomIn([COUNT], seed))));

for (const [name, options] of [
  ["Nesterov momentum and weight decay", sgd],
  ["no momentum", { momentum: 0, weightDecay: 0.01 }],
  ["no weight decay", { momentum: 0.9, weightDecay: 0 }],
] as const) {
  test(`three steps with ${name} are PyTorch's (1e-6)`, async () => {
    const reference = new TorchSgd(options, 0.1);
    let values = start;
    let expected: readonly number[] = start.parameter;
    for (const gradient of gradients) {
      values = await step(values, gradient, { rule: plain, options, learningRate: 0.1, l1: 0.5 });
      expected = reference.step(expected, gradient);
      assertNear(values.parameter, expected, 1e-6, "parameter");
    }
  });
}

test("a parameter's rate multiplies its learning rate", async () => {
  const gradient = gradients[0] ?? [];
  const setting = { options: sgd, l1: 0 };
  const slow = await step(start, gradient, { ...setting, rule: { ...plain, rate: 0.25 }, learningRate: 0.4 });
  const fast = await step(start, gradient, { ...setting, rule: plain, learningRate: 0.1 });
  assertNear(slow.parameter, fast.parameter, 1e-6);
  assert.deepEqual(slow.velocity, fast.velocity);
});

test("the subgradient form adds λ·sign(p) to the gradient, nothing at zero", async () => {
  const parameter = start.parameter.with(0, 0);
  const gradient = gradients[0] ?? [];
  const shifted = gradient.map((value, index) => value + 0.3 * Math.sign(parameter[index] ?? 0));
  const [penalized, reference] = await Promise.all([
    step({ ...start, parameter }, gradient, {
      rule: { ...plain, l1: "subgradient" },
      options: sgd,
      learningRate: 0.1,
      l1: 0.3,
    }),
    step({ ...start, parameter }, shifted, { rule: plain, options: sgd, learningRate: 0.1, l1: 0 }),
  ]);
  assertNear(penalized.parameter, reference.parameter, 1e-6, "parameter");
  assertNear(penalized.velocity, reference.velocity, 1e-6, "velocity");
});

for (const rate of [1, 0.5]) {
  test(`the proximal step at rate ${rate} moves by lr·rate·λ/(1-μ) towards zero and stops exactly there`, async () => {
    const threshold = (0.1 * rate * 0.05) / (1 - 0.9);
    const parameter = [2 * threshold, -2 * threshold, 0.9 * threshold, -0.9 * threshold, 0, 1, -1];
    const { parameter: found } = await step(
      { parameter, velocity: parameter.map(() => 0) },
      parameter.map(() => 0),
      {
        rule: { l1: "proximal", masked: false, rate },
        options: { momentum: 0.9, weightDecay: 0 },
        learningRate: 0.1,
        l1: 0.05,
      },
    );
    assert.deepEqual(
      found.slice(2, 5).map((value) => value === 0),
      [true, true, true],
    );
    assertNear(found, [threshold, -threshold, 0, 0, 0, 1 - threshold, threshold - 1], 1e-6);
  });
}

test("the proximal step's fixed point is that of ½(p - a)² + λ|p|: soft-thresholded a", async () => {
  const targets = [1, 0.3, 0.1, -0.04, -0.8];
  const setting: Setting = {
    rule: { l1: "proximal", masked: false, rate: 1 },
    options: { momentum: 0.9, weightDecay: 0 },
    learningRate: 0.05,
    l1: 0.2,
  };
  let values: Values = { parameter: targets, velocity: targets.map(() => 0) };
  for (let count = 0; count < 150; count++) {
    const gradient = values.parameter.map((value, index) => value - (targets[index] ?? 0));
    values = await step(values, gradient, setting);
  }
  assertNear(values.parameter, [0.8, 0.1, 0, 0, -0.6], 0.02);
  assert.deepEqual([values.parameter[2], values.parameter[3]], [0, 0]);
});

test("the proximal step of channels shortens each by t·√n, and stops exactly at zero", async () => {
  const [outputs, channels, d] = [3, 4, 2];
  const sizes = [0, 0.5, 0.99, 4];
  const threshold = (0.1 * 0.5 * 0.05) / (1 - 0.9);
  const elements = outputs * d;
  // Channel c has a norm of sizes[c] times the threshold; its elements differ.
  const pattern = Array.from({ length: elements }, (_, index) => Math.sin(1 + index));
  const norm = Math.hypot(...pattern);
  const parameter = Array.from({ length: outputs * channels * d }, (_, index) => {
    const channel = Math.floor(index / d) % channels;
    const element = Math.floor(index / (channels * d)) * d + (index % d);
    return ((sizes[channel] ?? 0) * threshold * Math.sqrt(elements) * (pattern[element] ?? 0)) / norm;
  });
  const { parameter: found } = await step(
    { parameter, velocity: parameter.map(() => 0) },
    parameter.map(() => 0),
    {
      rule: { l1: "channels", masked: false, rate: 0.5 },
      options: { momentum: 0.9, weightDecay: 0 },
      learningRate: 0.1,
      l1: 0.05,
      dims: [outputs, channels, d],
    },
  );
  const expected = parameter.map((value, index) =>
    Math.floor(index / d) % channels === 3 ? (value * 3) / 4 : 0,
  );
  assertNear(found, expected, 1e-6);
  expected.forEach((value, index) => {
    assert.equal(found[index] === 0, value === 0, `element ${index}`);
  });
});

test("a mask holds zeros over steps and leaves the rest alone", async () => {
  const mask = start.parameter.map((_, index) => (index % 3 === 0 ? 0 : 1));
  const parameter = start.parameter.map((value, index) => value * (mask[index] ?? 0));
  const setting: Setting = {
    rule: { ...plain, masked: true },
    options: sgd,
    learningRate: 0.1,
    l1: 0,
    mask,
  };
  let masked: Values = { ...start, parameter };
  let free: Values = { ...start, parameter };
  for (const gradient of gradients) {
    masked = await step(masked, gradient, setting);
    free = await step(free, gradient, { ...setting, rule: plain });
    masked.parameter.forEach((value, index) => {
      if (mask[index] === 0) assert.equal(Math.abs(value), 0, `element ${index} stays zero`);
      else assert.equal(value, free.parameter[index], `element ${index} trains`);
    });
  }
});
