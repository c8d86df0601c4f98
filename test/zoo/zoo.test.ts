import assert from "node:assert/strict";
import { test } from "node:test";
import { blockSize } from "../../src/execute/block_size.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { decompose } from "../../src/method/decompose.js";
import { verifyTypes } from "../../src/ops/verify.js";
import { findDecompositions } from "../../src/ops/weights.js";
import type { StepOptions } from "../../src/train/step.js";
import { convnext } from "../support/zoo/convnext.js";
import { deeplab, detector, unet } from "../support/zoo/dense_prediction.js";
import { caffeStyle, dynamoStyle, kerasStyle } from "../support/zoo/exporters.js";
import { googlenet, inceptionV3 } from "../support/zoo/inception.js";
import type { Layers, ZooNetwork } from "../support/zoo/layers.js";
import { efficientnet, mnasnet, mobilenetV2, mobilenetV3, shufflenet } from "../support/zoo/mobile.js";
import { alexnet, densenet, squeezenet, vgg } from "../support/zoo/plain.js";
import { withProbe } from "../support/zoo/probe.js";
import { bottleneckResnet, regnet, resnet } from "../support/zoo/residual.js";
import { checkShapes, exported, imported, pruned, shrunk } from "../support/zoo/stages.js";
import {
  assertFinite,
  directionalDerivative,
  type GradientOptions,
  GradientStep,
  largestGradientError,
  zeroGradients,
} from "../support/zoo/training.js";

interface ZooCase {
  readonly build: () => ZooNetwork;
  /** How its training step normalises; bench/zoo.ts tries both. */
  readonly mode: StepOptions["batchNormalization"];
  /** What it predicts; default: logits. */
  readonly outputs?: "logits" | "maps";
  /** Whether all its channels may stay, because operators that mix channels stand between all layers. */
  readonly isWalled?: boolean;
}

const zoo: Readonly<Record<string, ZooCase>> = {
  AlexNet: { build: alexnet, mode: "frozen" },
  VGG: { build: () => vgg(false), mode: "frozen" },
  "VGG with BatchNormalization": { build: () => vgg(true), mode: "batch" },
  SqueezeNet: { build: squeezenet, mode: "frozen" },
  DenseNet: { build: densenet, mode: "batch" },
  ResNet: { build: resnet, mode: "batch" },
  "ResNet of bottlenecks": { build: () => bottleneckResnet({ group: 1, ratio: 1 / 2 }), mode: "frozen" },
  ResNeXt: { build: () => bottleneckResnet({ group: 4, ratio: 1 }), mode: "batch" },
  "Wide ResNet": { build: () => bottleneckResnet({ group: 1, ratio: 1 }), mode: "frozen" },
  GoogLeNet: { build: googlenet, mode: "batch" },
  "Inception v3": { build: inceptionV3, mode: "frozen" },
  "ShuffleNet v2": { build: shufflenet, mode: "batch" },
  "MobileNet v2": { build: mobilenetV2, mode: "frozen" },
  "MobileNet v3": { build: mobilenetV3, mode: "batch" },
  MNASNet: { build: mnasnet, mode: "frozen" },
  EfficientNet: { build: efficientnet, mode: "batch" },
  "RegNet X": { build: () => regnet("X"), mode: "frozen" },
  "RegNet Y": { build: () => regnet("Y"), mode: "batch" },
  ConvNeXt: { build: () => convnext("steps"), mode: "frozen", isWalled: true },
  "ConvNeXt with LayerNormalization": { build: () => convnext("operator"), mode: "frozen", isWalled: true },
  "U-Net with ConvTranspose": { build: () => unet("transpose"), mode: "frozen", outputs: "maps" },
  "U-Net with Resize by scales": { build: () => unet("nearest"), mode: "frozen", outputs: "maps" },
  "U-Net with Resize to sizes": { build: () => unet("bilinear"), mode: "frozen", outputs: "maps" },
  DeepLab: { build: deeplab, mode: "frozen", outputs: "maps" },
  "single-shot detector": { build: detector, mode: "batch", outputs: "maps" },
  "Keras network from tf2onnx": { build: kerasStyle, mode: "batch" },
  "network from torch.export": { build: dynamoStyle, mode: "frozen" },
  "network from Caffe": { build: caffeStyle, mode: "frozen" },
};

const block = await blockSize();
const BATCH = 4;
const LABELS = [0, 1, 2, 3];

/** Between the two forms of a training step: float32 sums in another order. */
const BLOCKED_TOLERANCE = 1e-3;
/** Of a directional derivative, relative to its parts: rounding of the loss and curvature. */
const DERIVATIVE_TOLERANCE = 0.02;
/** Relative length of the steps between which the loss is compared: networks on batch statistics are curved. */
const STEP = 1e-4;
/** A Relu or pool on its kink may go either way and moves whole gradients; then another batch has to do. */
const ATTEMPTS = 3;

async function withStep<Result>(
  network: Graph,
  images: Tensor,
  options: GradientOptions,
  work: (step: GradientStep) => Promise<Result>,
): Promise<Result> {
  const step = await GradientStep.load(network, { images, labels: LABELS }, options);
  try {
    return await work(step);
  } finally {
    await step.release();
  }
}

/** One step on standard operators, whose gradients agree with differences of its loss and with the blocked form. */
async function checkStep(network: Graph, images: Tensor, batchNormalization: ZooCase["mode"]): Promise<void> {
  const plain = await withStep(network, images, { batchNormalization }, async (step) => {
    const found = await step.gradients();
    assertFinite(found, network);
    assert.deepEqual(zeroGradients(found), [], "parameters whose gradient is zero");
    const { stated, measured, scale } = await directionalDerivative(step, found, { seed: 1, size: STEP });
    const difference = Math.abs(stated - measured);
    assert.ok(difference <= DERIVATIVE_TOLERANCE * scale, `derivative ${stated}, measured ${measured}`);
    return found;
  });
  if (block === undefined) return;
  const blocked = await withStep(network, images, { batchNormalization, block }, (step) => step.gradients());
  const { error, name } = largestGradientError(plain.parameters, blocked.parameters);
  assert.ok(error <= BLOCKED_TOLERANCE, `blocked: ${name} is off by ${error}`);
}

async function checkTraining(network: Graph, net: Layers, mode: ZooCase["mode"]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [images] = net.feeds(BATCH).values();
    assert.ok(images !== undefined);
    try {
      return await checkStep(network, images, mode);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

for (const [name, { build, mode, outputs = "logits", isWalled = false }] of Object.entries(zoo)) {
  test(`${name} goes through every stage`, async () => {
    const { graph: original, net } = build();
    const feeds = net.feeds(BATCH);
    const graph = await imported(original, feeds);
    assert.deepEqual(await checkShapes(graph, feeds), [], "values without a static shape");

    const decomposed = decompose(graph, { basis: 3 });
    verifyTypes(decomposed);
    assert.ok(findDecompositions(decomposed).length > 0, "something to decompose");
    await checkTraining(outputs === "logits" ? decomposed : withProbe(decomposed, BATCH), net, mode);

    const { graph: smaller, before, after } = await shrunk(pruned(decomposed, 7), feeds);
    assert.ok(after < before || isWalled, `${before} channels became ${after}`);
    await exported(smaller, feeds);
  });
}
