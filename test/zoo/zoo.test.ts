import assert from "node:assert/strict";
import { test } from "node:test";
import { blockSize } from "../../src/execute/block_size.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { decompose } from "../../src/method/decompose.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { type ZooCase, zoo } from "../../support/zoo/families.js";
import type { Layers } from "../../support/zoo/layers.js";
import { withProbe } from "../../support/zoo/probe.js";
import { checkShapes, exported, imported, pruned, shrunk } from "../../support/zoo/stages.js";
import {
  assertFinite,
  directionalDerivative,
  type GradientOptions,
  GradientStep,
  largestGradientError,
  zeroGradients,
} from "../../support/zoo/training.js";

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
  const { error, name } = largestGradientError(plain.parameters, blocked.parameters, plain.magnitudes);
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
