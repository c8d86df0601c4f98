import assert from "node:assert/strict";
import { test } from "node:test";
import { blockSize } from "../../src/execute/block_size.js";
import { runGraph } from "../../src/execute/node.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor, scalarTensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { trainableParameters } from "../../src/method/parameters.js";
import type { OutputLoss } from "../../src/train/outputs.js";
import { buildTrainingStep, stepNames } from "../../src/train/step.js";
import { SIZE, tinyDetector, tinyMatting, tinyRegressor, tinyUNet } from "../../support/label_free.js";
import { assertRelative, randomIn } from "./support.js";

const block = await blockSize();
const BATCH = 4;
const RATE = 1e-3;
/** Relative to the largest element of each value: float32 sums in another order. */
const TOLERANCE = 2e-4;

const common = { weight: 1, deviation: 0.7 };

interface Case {
  readonly network: Graph;
  readonly outputs: readonly OutputLoss[];
}

const cases: Readonly<Record<string, Case>> = {
  "a detector, kl of a softmax and smooth L1": {
    network: tinyDetector(),
    outputs: [
      { ...common, output: "scores", measure: "kl", axis: 2 },
      { ...common, output: "boxes", measure: "smooth-l1", deviation: 20, weight: 3 },
    ],
  },
  "a map of logits, kl over its channels": {
    network: tinyUNet(),
    outputs: [{ ...common, output: "mask_logits", measure: "kl", axis: 1 }],
  },
  "a map of numbers, squared errors": {
    network: tinyUNet(),
    outputs: [{ ...common, output: "mask_logits", measure: "mse" }],
  },
  "a map of numbers, smooth L1": {
    network: tinyUNet(),
    outputs: [{ ...common, output: "mask_logits", measure: "smooth-l1" }],
  },
  "a map of probabilities, kl of each": {
    network: tinyMatting(),
    outputs: [{ ...common, output: "mask", measure: "kl", axis: "each" }],
  },
  "a regressor, squared errors": {
    network: tinyRegressor(),
    outputs: [{ ...common, output: "position", measure: "mse" }],
  },
};

/** A step without momentum, and what it is fed. */
function stepOf({ network, outputs }: Case, blockChannels: number | undefined) {
  const fixed = fixBatch(network, BATCH);
  const rule = { l1: "none", masked: false, rate: 1 } as const;
  const names = [...trainableParameters(fixed).keys()];
  const step = buildTrainingStep(fixed, new Set(names), {
    trained: new Map(names.map((name) => [name, rule])),
    batchNormalization: "frozen",
    loss: { crossEntropy: 0, labelSmoothing: 0, distillation: 0.5, temperature: 3, outputs },
    reference: "original",
    optimizer: { momentum: 0, weightDecay: 0 },
    ...(blockChannels === undefined ? {} : { block: blockChannels }),
  });
  const feeds = new Map<string, Tensor>();
  step.graph.inputs.forEach(({ name, type }, index) => {
    const dims = (type?.shape ?? []).map(Number);
    const stored = fixed.initializers.get(name);
    feeds.set(name, stored ?? randomIn(dims, index + 1));
  });
  for (const { input, dims } of step.velocities.values())
    feeds.set(input, float32Tensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1))));
  feeds.set(stepNames.learningRate, scalarTensor(RATE));
  feeds.set(stepNames.l1Strength, scalarTensor(0));
  return { step, feeds };
}

function assertClose(found: Tensor | undefined, expected: Tensor, what: string): void {
  assert.ok(found !== undefined, what);
  assertRelative(float32Data(found), float32Data(expected), TOLERANCE, what);
}

for (const [name, each] of Object.entries(cases)) {
  test(`${name}: the step takes no labels and its gradient is the slope of the loss (2 %)`, async () => {
    const { step, feeds } = stepOf(each, undefined);
    assert.ok(!feeds.has(stepNames.labels));
    assert.deepEqual(
      [...step.teachers.keys()],
      each.outputs.map(({ output }) => output),
    );
    assert.deepEqual(feeds.get("x")?.dims, [BATCH, 3, SIZE, SIZE]);
    const results = await runGraph(step.graph, feeds, { threads: 1 });
    // Along its own direction the loss falls by the square of the gradient.
    const gradients = new Map<string, Float32Array>();
    for (const [parameter, { input, output }] of step.parameters) {
      const [before, after] = [feeds.get(input), results.get(output)];
      assert.ok(before && after);
      const moved = float32Data(after);
      gradients.set(
        parameter,
        float32Data(before).map((value, index) => (value - (moved[index] ?? Number.NaN)) / RATE),
      );
    }
    const norm = Math.hypot(...[...gradients.values()].flatMap((values) => [...values]));
    assert.ok(norm > 1e-3, `${norm}`);
    const distance = 2e-3;
    const lossAt = async (side: number): Promise<number> => {
      const there = new Map(feeds);
      for (const [parameter, gradient] of gradients) {
        const tensor = feeds.get(parameter);
        assert.ok(tensor);
        const data = float32Data(tensor).map(
          (value, index) => value + (side * distance * (gradient[index] ?? 0)) / norm,
        );
        there.set(parameter, float32Tensor(tensor.dims, data));
      }
      const loss = (await runGraph(step.graph, there, { threads: 1 })).get(stepNames.loss);
      return float32Data(loss ?? scalarTensor(Number.NaN))[0] ?? Number.NaN;
    };
    const slope = ((await lossAt(1)) - (await lossAt(-1))) / (2 * distance);
    assert.ok(Math.abs(slope / norm - 1) < 0.02, `slope ${slope}, norm of the gradient ${norm}`);
  });

  test(`${name}: the same on blocked values (2e-4)`, {
    skip: block === undefined && "no blocked layout here",
  }, async () => {
    const plain = stepOf(each, undefined);
    const blocked = stepOf(each, block);
    assert.ok(blocked.step.graph.nodes.some(({ domain }) => domain === "com.microsoft.nchwc"));
    const expected = await runGraph(plain.step.graph, plain.feeds, { threads: 1 });
    const actual = await runGraph(blocked.step.graph, plain.feeds, { threads: 1 });
    assert.deepEqual([...actual.keys()], [...expected.keys()]);
    for (const [value, tensor] of expected) assertClose(actual.get(value), tensor, value);
  });
}
