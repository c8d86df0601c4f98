import assert from "node:assert/strict";
import { test } from "node:test";
import { blockSize } from "../../src/execute/block_size.js";
import { runGraph } from "../../src/execute/node.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { elementCount, float32Data, float32Tensor, scalarTensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { trainableParameters } from "../../src/method/parameters.js";
import { newNetwork } from "../../src/networks/index.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import {
  attentionOf,
  emitAttentionDistance,
  lastMaps,
  sharedSizes,
  withAttention,
} from "../../src/train/attention.js";
import { buildGradients } from "../../src/train/gradients.js";
import { buildTrainingStep, stepNames } from "../../src/train/step.js";
import { Network } from "../../support/network.js";
import { assertNear, assertRelative, builderOver, compute, differences, randomIn } from "./support.js";

/** By the definition: rows of means of squares over channels, of length 1. */
function attention(x: ArrayLike<number>, [images, channels, places]: readonly [number, number, number]) {
  return Array.from({ length: images }, (_, image) => {
    const energy = Array.from({ length: places }, (_, place) => {
      let sum = 0;
      for (let channel = 0; channel < channels; channel++)
        sum += (x[(image * channels + channel) * places + place] ?? Number.NaN) ** 2;
      return sum / channels;
    });
    return energy.map((value) => value / Math.hypot(...energy));
  });
}

function distance(one: readonly (readonly number[])[], other: readonly (readonly number[])[]): number {
  const squares = one.map((row, image) =>
    row.reduce((sum, value, place) => sum + (value - (other[image]?.[place] ?? Number.NaN)) ** 2, 0),
  );
  return squares.reduce((sum, value) => sum + value, 0) / squares.length;
}

const [IMAGES, PLACES] = [2, 6] as const;
const block = await blockSize();

test("the distance of maps of attention and its gradient are those of the definition in float64 (1e-6)", async () => {
  const small = randomIn([IMAGES, 3, 2, 3], 1);
  const wide = randomIn([IMAGES, 4, 2, 3], 2, -0.02, 30);
  const [first, second] = [randomIn([IMAGES, PLACES], 3, 0, 1), randomIn([IMAGES, PLACES], 4, 0, 1)];
  const rows = (tensor: Tensor): number[][] =>
    [0, 1].map((image) => Array.from(float32Data(tensor).slice(image * PLACES, (image + 1) * PLACES)));
  const feeds = new Map(Object.entries({ small, wide, first, second }));
  const b = builderOver(feeds);
  const loss = emitAttentionDistance(b, [
    { value: "small", teacher: "first" },
    { value: "wide", teacher: "second" },
  ]);
  const gradients = buildGradients(b, [...b.nodes], loss, ["small", "wide"]);
  const [value, ofSmall, ofWide] = await compute(b, feeds, [
    loss,
    gradients.get("small") ?? "",
    gradients.get("wide") ?? "",
  ]);
  const reference = (x: ArrayLike<number>, channels: number, teacher: Tensor): number =>
    distance(attention(x, [IMAGES, channels, PLACES]), rows(teacher)) / 2;
  const [smallData, wideData] = [float32Data(small), float32Data(wide)];
  assertNear(value ?? [], [reference(smallData, 3, first) + reference(wideData, 4, second)], 1e-6, "loss");
  assertNear(
    ofSmall ?? [],
    differences((x) => reference(x, 3, first), smallData),
    1e-6,
    "gradient",
  );
  assertNear(
    ofWide ?? [],
    differences((x) => reference(x, 4, second), wideData, 1e-4),
    1e-6,
    "gradient",
  );
});

test("maps that are zero everywhere have a finite gradient", async () => {
  const zeros = float32Tensor([1, 2, 2, 2], new Float32Array(8));
  const feeds = new Map(Object.entries({ zeros, teacher: randomIn([1, 4], 1, 0, 1) }));
  const b = builderOver(feeds);
  const loss = emitAttentionDistance(b, [{ value: "zeros", teacher: "teacher" }]);
  const gradient = buildGradients(b, [...b.nodes], loss, ["zeros"]).get("zeros") ?? "";
  for (const values of await compute(b, feeds, [loss, gradient])) assert.ok(values.every(Number.isFinite));
});

const image = [3, 32, 32] as const;
const known = (name: "resnet20" | "resnet18" | "vgg16"): Graph =>
  fixBatch(importModel(newNetwork(name, { classes: 10, image, seed: 1, metadata: new Map() })), 2);

test("the last maps of a size are what the last block of the size ends with", () => {
  const expected = {
    resnet20: ["32x32 16 Relu", "16x16 32 Relu", "8x8 64 Relu"],
    resnet18: ["32x32 64 Relu", "16x16 128 Relu", "8x8 256 Relu", "4x4 512 Relu"],
    vgg16: ["32x32 64 Relu", "16x16 128 Relu", "8x8 256 Relu", "4x4 512 Relu", "2x2 512 Relu"],
  } as const;
  for (const name of ["resnet20", "resnet18", "vgg16"] as const) {
    const graph = known(name);
    const { types } = inferGraph(graph);
    const found = [...lastMaps(graph.nodes, types)].map(([size, value]) => {
      const producer = graph.nodes.find(({ outputs }) => outputs.includes(value));
      return `${size} ${types.get(value)?.shape?.[1]} ${producer?.op}`;
    });
    assert.deepEqual(found, expected[name], name);
  }
  assert.deepEqual(sharedSizes(known("resnet20"), known("vgg16")), ["32x32", "16x16", "8x8"]);
});

/** Without kinks, so that differences are slopes. */
function classifier(seed: number, width: number, size = 8): Graph {
  const net = new Network(seed, [3, size, size]);
  const hidden = net.op("Sigmoid", [net.norm(net.conv("x", width, { pad: 1 }))]);
  const second = net.op("Sigmoid", [net.norm(net.conv(hidden, width, { pad: 1, stride: 2 }))]);
  return net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [second])]), 10)]);
}

test("networks without maps of the same size are refused", () => {
  const [model, other] = [fixBatch(classifier(1, 4), 2), fixBatch(classifier(1, 4, 6), 2)];
  assert.throws(() => sharedSizes(model, other), { code: "bad-option", message: /8x8, 4x4.*6x6, 3x3/ });
});

const BATCH = 4;
const RATE = 1e-2;

function stepOf(network: Graph, blockChannels: number | undefined) {
  const rule = { l1: "none", masked: false, rate: 1 } as const;
  const names = [...trainableParameters(network).keys()];
  return buildTrainingStep(network, new Set(names), {
    trained: new Map(names.map((name) => [name, rule])),
    batchNormalization: "frozen",
    loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1, features: 50 },
    attention: ["8x8", "4x4"],
    optimizer: { momentum: 0, weightDecay: 0 },
    ...(blockChannels === undefined ? {} : { block: blockChannels }),
  });
}

test("a step's gradient with a wider teacher is the slope of the loss (2 %), on blocked values as well (2e-4)", async () => {
  const network = fixBatch(classifier(1, 8), BATCH);
  const teacher = withAttention(fixBatch(classifier(2, 12), BATCH), ["8x8", "4x4"], []);
  const x = randomIn([BATCH, 3, 8, 8], 5);
  const maps = await runGraph(teacher, new Map([["x", x]]), { threads: 1 });
  const step = stepOf(network, undefined);
  assert.deepEqual([...step.teachers.keys()], ["8x8", "4x4"].map(attentionOf));
  const feeds = new Map<string, Tensor>([["x", x], ...maps]);
  feeds.set(stepNames.labels, {
    type: "int64",
    dims: [BATCH],
    bytes: new Uint8Array(BigInt64Array.of(1n, 2n, 9n, 0n).buffer),
  });
  for (const name of step.parameters.keys()) {
    const tensor = network.initializers.get(name);
    assert.ok(tensor);
    feeds.set(name, tensor);
  }
  for (const { input, dims } of step.velocities.values())
    feeds.set(input, float32Tensor(dims, new Float32Array(elementCount(dims))));
  feeds.set(stepNames.learningRate, scalarTensor(RATE));
  feeds.set(stepNames.l1Strength, scalarTensor(0));
  const results = await runGraph(step.graph, feeds, { threads: 1 });
  const gradients = new Map(
    [...step.velocities].map(([name, { output }]) => {
      const tensor = results.get(output);
      assert.ok(tensor);
      return [name, float32Data(tensor)] as const;
    }),
  );
  const norm = Math.hypot(...[...gradients.values()].flatMap((values) => [...values]));
  const lossAt = async (side: number): Promise<number> => {
    const there = new Map(feeds);
    for (const [name, gradient] of gradients) {
      const tensor = feeds.get(name);
      assert.ok(tensor);
      const data = float32Data(tensor).map((value, at) => value + (side * (gradient[at] ?? 0)) / norm);
      there.set(name, float32Tensor(tensor.dims, data));
    }
    const loss = (await runGraph(step.graph, there, { threads: 1 })).get(stepNames.loss);
    return float32Data(loss ?? scalarTensor(Number.NaN))[0] ?? Number.NaN;
  };
  const slope = ((await lossAt(5e-3)) - (await lossAt(-5e-3))) / 1e-2;
  assert.ok(Math.abs(slope / norm - 1) < 0.02, `slope ${slope}, norm of the gradient ${norm}`);
  if (block === undefined) return;
  const blocked = stepOf(network, block);
  assert.ok(blocked.graph.nodes.some(({ domain }) => domain === "com.microsoft.nchwc"));
  const found = await runGraph(blocked.graph, feeds, { threads: 1 });
  for (const [value, tensor] of results) {
    const other = found.get(value);
    assert.ok(other);
    assertRelative(float32Data(other), float32Data(tensor), 2e-4, value);
  }
});
