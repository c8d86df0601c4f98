import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Tensor as OrtTensor } from "onnxruntime-common";
import { batches, imagenetPreprocessing, openDataset, planEvaluation } from "../../src/data/index.js";
import { blockSize } from "../../src/execute/block_size.js";
import { type Provider, providers } from "../../src/execute/device.js";
import { openSession } from "../../src/execute/node.js";
import { resolveDevice } from "../../src/execute/resolve.js";
import { readModel } from "../../src/files/model_files.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data } from "../../src/graph/tensor.js";
import { trainableParameters } from "../../src/method/parameters.js";
import { runningStatisticsOf } from "../../src/ops/operators/batch_normalization.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { buildTrainingStep, stepNames } from "../../src/train/step.js";
import { sharedPath, withoutShared } from "../../support/shared.js";

interface Golden {
  readonly step: {
    readonly loss: number;
    readonly grads: Record<string, { l2: number; shape: number[]; first: number[] }>;
    readonly running_stats_after: Record<string, number[]>;
  };
}

const BATCH = 64;

/** How far loss (absolute), gradients (of their norm) and running statistics (relative above 1) may be off. */
interface Tolerance {
  readonly loss: number;
  readonly gradient: number;
  readonly statistics: number;
}

/**
 * Against PyTorch 1.13 on the CPU. A device sums in another order, and CUDA may round the factors of products
 * to 10 bits (TF32).
 */
const tolerances: Readonly<Record<Provider, Tolerance>> = {
  cpu: { loss: 1e-5, gradient: 1e-3, statistics: 1e-4 },
  webgpu: { loss: 1e-3, gradient: 1e-2, statistics: 1e-3 },
  cuda: { loss: 1e-2, gradient: 3e-2, statistics: 1e-2 },
};

for (const provider of providers) {
  test(`one ResNet-20 step on ${provider} agrees with PyTorch`, {
    skip: withoutShared("golden/resnet-cifar10.json"),
  }, async (t) => {
    const device = await resolveDevice(provider).catch((error: Error) => error);
    if (device instanceof Error) return t.skip(device.message);
    await checkStep(provider, tolerances[provider]);
  });
}

test("one ResNet-20 step on the runtime's blocked layout agrees with PyTorch", {
  skip: withoutShared("golden/resnet-cifar10.json"),
}, async (t) => {
  const block = await blockSize();
  if (block === undefined) return t.skip("this build of ONNX Runtime has no blocked layout here");
  await checkStep("cpu", tolerances.cpu, block);
});

async function checkStep(provider: Provider, tolerance: Tolerance, block?: number): Promise<void> {
  const golden = JSON.parse(await readFile(sharedPath("golden/resnet-cifar10.json"), "utf8")) as Golden;
  const network = simplify(fixBatch(await readModel(sharedPath("models/resnet20.onnx")), BATCH));
  const rule = { l1: "none", masked: false, rate: 1 } as const;
  const trained = new Map([...trainableParameters(network).keys()].map((name) => [name, rule]));
  const statistics = runningStatisticsOf(network);
  // Without momentum and decay, the velocity after one step is the gradient.
  const step = buildTrainingStep(network, new Set([...trained.keys(), ...statistics]), {
    trained,
    batchNormalization: "batch",
    loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
    optimizer: { momentum: 0, weightDecay: 0 },
    ...(block === undefined ? {} : { block }),
  });

  const split = await (await openDataset(`cifar10:${sharedPath("data/cifar10")}`)).test();
  const first = Uint32Array.from({ length: BATCH }, (_, index) => index);
  const [batch] = batches(
    planEvaluation(split, first, { batch: BATCH, preprocessing: imagenetPreprocessing }),
  );
  assert.ok(batch?.labels !== undefined);
  const feeds: Record<string, OrtTensor> = {
    input: new OrtTensor("float32", batch.images, [BATCH, 3, 32, 32]),
    [stepNames.labels]: new OrtTensor("int64", batch.labels, [BATCH]),
    [stepNames.learningRate]: new OrtTensor("float32", Float32Array.of(0.1), []),
    [stepNames.l1Strength]: new OrtTensor("float32", Float32Array.of(0), []),
  };
  for (const slot of [...step.parameters.values(), ...step.statistics.values()]) {
    const tensor = network.initializers.get(slot.input);
    assert.ok(tensor !== undefined);
    feeds[slot.input] = new OrtTensor("float32", Float32Array.from(float32Data(tensor)), [...slot.dims]);
  }
  for (const slot of step.velocities.values()) {
    const size = slot.dims.reduce((product, dim) => product * dim, 1);
    feeds[slot.input] = new OrtTensor("float32", new Float32Array(size), [...slot.dims]);
  }
  const session = await openSession(step.graph, { provider });
  const results = await session.run(feeds);
  const values = (name: string | undefined): Float32Array => results[name ?? ""]?.data as Float32Array;

  assert.ok(Math.abs((values(stepNames.loss)[0] ?? NaN) - golden.step.loss) < tolerance.loss);
  assert.equal(Object.keys(golden.step.grads).length, step.velocities.size);
  for (const [name, expected] of Object.entries(golden.step.grads)) {
    const gradient = values(step.velocities.get(name)?.output);
    const norm = Math.hypot(...gradient);
    assert.ok(
      Math.abs(norm - expected.l2) <= tolerance.gradient * expected.l2,
      `${name}: norm ${norm}, expected ${expected.l2}`,
    );
    expected.first.forEach((value, index) => {
      const difference = Math.abs((gradient[index] ?? NaN) - value);
      assert.ok(
        difference <= tolerance.gradient * expected.l2,
        `${name}[${index}]: ${gradient[index]}, expected ${value}`,
      );
    });
  }
  for (const [name, expected] of Object.entries(golden.step.running_stats_after)) {
    const found = values(step.statistics.get(name)?.output);
    expected.forEach((value, index) => {
      const difference = Math.abs((found[index] ?? NaN) - value);
      assert.ok(
        difference <= tolerance.statistics * Math.max(1, Math.abs(value)),
        `${name}[${index}]: ${found[index]}, expected ${value}`,
      );
    });
  }
}
