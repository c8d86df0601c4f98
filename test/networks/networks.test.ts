import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { type NetworkName, networkNames, newNetwork } from "../../src/networks/index.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { randomTensor } from "../../support/small_models.js";

interface Known {
  readonly parameters: number;
  /** Multiply-accumulates of one image, where the literature states them. */
  readonly macs?: number;
}

/** Elements of `model.parameters()` of the same networks in PyTorch (bench/pytorch/networks.py), 10 classes of 32x32. */
const small: Readonly<Partial<Record<NetworkName, Known>>> = {
  resnet20: { parameters: 269_722 },
  resnet56: { parameters: 853_018 },
  resnet18: { parameters: 11_173_962, macs: 555_422_720 },
  vgg16: { parameters: 14_728_266 },
  // 2,223,872 of the network without its head, and 1,280 weights and a bias for each class.
  mobilenet_v2: { parameters: 2_236_682 },
};

/** Of torchvision's networks, 1,000 classes of 224x224. */
const large: Readonly<Partial<Record<NetworkName, Known>>> = {
  resnet18: { parameters: 11_689_512, macs: 1_814_073_344 },
  resnet50: { parameters: 25_557_032, macs: 4_089_184_256 },
  alexnet: { parameters: 61_100_840, macs: 714_188_480 },
  mobilenet_v2: { parameters: 3_504_872, macs: 300_774_272 },
};

const build = (name: NetworkName, classes: number, side: number, seed = 1): Graph =>
  newNetwork(name, { classes, image: [3, side, side], seed, metadata: new Map() });

function check(name: NetworkName, network: Graph, { parameters, macs }: Known): void {
  verifyTypes(network);
  const counted = countGraph(fixBatch(network, 1));
  assert.equal(counted.elements, parameters, name);
  if (macs !== undefined) assert.equal(counted.executedMacs, macs, name);
}

test("networks for CIFAR-10 have the known numbers of parameters", () => {
  for (const [name, known] of Object.entries(small))
    check(name as NetworkName, build(name as NetworkName, 10, 32), known);
});

test("networks for ImageNet have torchvision's numbers of parameters and multiply-accumulates", () => {
  for (const [name, known] of Object.entries(large))
    check(name as NetworkName, build(name as NetworkName, 1000, 224), known);
});

for (const name of networkNames) {
  test(`${name} runs, and its scores are neither vanished nor exploded`, async () => {
    const network = build(name, 7, 32);
    const images = new Map([["images", randomTensor([3, 3, 32, 32], 1)]]);
    const logits = (await runGraph(network, images)).get("logits");
    assert.deepEqual(logits?.dims, [3, 7]);
    const values = float32Data(logits);
    const scale = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    // Residual sums double the variance with every block, 27 times for ResNet-56, as no batch normalises them here.
    assert.ok(scale > 1e-3 && scale < 1e5, `${scale}`);
  });
}

test("the same seed gives the same weights, another one others", () => {
  const stem = (seed: number): Uint8Array | undefined =>
    build("resnet20", 10, 32, seed).initializers.get("stem.weight")?.bytes;
  assert.deepEqual(stem(1), stem(1));
  assert.notDeepEqual(stem(1), stem(2));
});

test("images of one channel and other sides", async () => {
  const network = newNetwork("resnet20", { classes: 10, image: [1, 28, 20], seed: 0, metadata: new Map() });
  const logits = (await runGraph(network, new Map([["images", randomTensor([2, 1, 28, 20], 1)]]))).get(
    "logits",
  );
  assert.deepEqual(logits?.dims, [2, 10]);
});

test("images that leave nothing for the last layers are refused with both sizes", () => {
  assert.throws(() => build("vgg16", 10, 16), {
    code: "bad-option",
    message: /too small for vgg16: expected at least 32x32 pixels, found 16x16/,
  });
  for (const name of networkNames) assert.throws(() => build(name, 10, 2), { code: "bad-option" });
});

test("every network can be built at the smallest side that it allows, and just above 64 pixels", () => {
  for (const name of networkNames) {
    for (const side of [4, 8, 31, 32, 64, 65]) {
      let network: Graph | undefined;
      try {
        network = build(name, 2, side);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "bad-option", `${name} ${side}`);
      }
      if (network !== undefined) verifyTypes(network);
    }
  }
});
