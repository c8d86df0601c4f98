import assert from "node:assert/strict";
import { test } from "node:test";
import { blockSize } from "../../src/execute/block_size.js";
import type { Graph } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { decompose } from "../../src/method/decompose.js";
import { type PhaseMode, trainingPhases } from "../../src/method/phases.js";
import { PENNI_DOMAIN } from "../../src/ops/core/composite.js";
import { factorConvolutions } from "../../src/ops/passes/factor_convolutions.js";
import { productsPerPosition } from "../../src/train/blocked/winograd.js";
import { squareConv } from "../../support/single_layers.js";
import { randomTensor } from "../../support/small_models.js";
import { runTrainingStep, type Values } from "../../support/training_step.js";
import { wideNetwork } from "../../support/wide_network.js";
import { assertRelative } from "./support.js";

const block = await blockSize();
const BATCH = 16;

/** Relative to the largest element of each value, or to 1e-3: float32 sums in another order. */
const TOLERANCE = 5e-4;

const factoredConvs = (graph: Graph): readonly string[] =>
  graph.nodes.filter(({ domain }) => domain === PENNI_DOMAIN).map(({ name }) => name);

test("wide layers are factored, those that read the image are not", () => {
  const network = decompose(wideNetwork(BATCH), { basis: 3 });
  const factored = factorConvolutions(network, (name) => name.includes("coefs"));
  assert.deepEqual(factoredConvs(factored), ["c2/Conv", "c3/Conv"]);
  assert.equal(findDecompositions(factored).length, 1);
  assert.equal(factored.nodes.filter(({ op }) => op === "MatMul").length, 1);
});

test("a layer is factored for its basis alone where that saves a weight gradient", () => {
  const network = decompose(wideNetwork(BATCH), { basis: 6 });
  const [, second] = findDecompositions(network);
  assert.ok(second !== undefined);
  const forCoefs = factorConvolutions(network, (name) => name === second.coefs);
  const forBasis = factorConvolutions(network, (name) => name === second.basis);
  const forBoth = factorConvolutions(network, () => true);
  assert.deepEqual([forCoefs, forBasis, forBoth].map(factoredConvs), [
    ["c3/Conv"],
    ["c2/Conv", "c3/Conv"],
    ["c3/Conv"],
  ]);
});

test("with nearly as many basis kernels as taps nothing is factored", () => {
  const network = decompose(wideNetwork(BATCH), { basis: 8 });
  assert.equal(
    factorConvolutions(network, () => true),
    network,
  );
});

test("what merged kernels cost decides", () => {
  const network = decompose(wideNetwork(BATCH), { basis: 3 });
  const isCoefs = (name: string): boolean => name.includes("coefs");
  assert.equal(
    factorConvolutions(network, isCoefs, () => 3),
    network,
  );
  const second = factorConvolutions(network, isCoefs, ({ conv }) => (conv.name === "c2/Conv" ? 9 : 3));
  assert.deepEqual(factoredConvs(second), ["c2/Conv"]);
});

test("Winograd's form costs fewer products than the kernels have taps", () => {
  const geometry = (channels: number, size: number) =>
    squareConv({ batch: 64, from: channels, to: channels, size });
  const costs = [geometry(64, 8), geometry(512, 2), geometry(512, 4), geometry(512, 8)].map((each) =>
    productsPerPosition(16, each),
  );
  // 16 places for 4 outputs, and 3.5 times the transforms' 2·16·H·W / 512 for each of them.
  assert.deepEqual(costs, [9, 9, 4 * (1 + (3.5 * 16 * 2) / 512), 4 * (1 + (3.5 * 64 * 2) / 512)]);
});

const modes: readonly (readonly [PhaseMode, number])[] = [
  ["alternating", 0],
  ["alternating", 1],
  ["joint", 0],
];

for (const [mode, index] of modes) {
  test(`a step of ${mode} phase ${index + 1} is the same factored and merged (5e-4)`, {
    skip: block === undefined && "this build of ONNX Runtime has no blocked layout here",
  }, async () => {
    const network = decompose(wideNetwork(BATCH), { basis: 3 });
    const sparse = { l1: "none", masked: false } as const;
    const phase = trainingPhases(network, { mode, sparse, scaleBasisRate: false })[index];
    assert.ok(phase !== undefined && block !== undefined);
    const trained = new Map(Object.entries(phase.trained));
    assert.notEqual(
      factorConvolutions(network, (name) => trained.has(name)),
      network,
    );
    const settings = {
      trained,
      optimizer: { momentum: 0.9, weightDecay: 0 },
      learningRate: 0.1,
      l1Strength: 0,
      batchNormalization: "batch",
    } as const;
    const batch = {
      images: randomTensor([BATCH, 3, 8, 8], 9),
      labels: Array.from({ length: BATCH }, (_, image) => image % 5),
    };
    const state = { velocities: new Map() };
    const expected = await runTrainingStep(network, settings, batch, state);
    const actual = await runTrainingStep(network, { ...settings, block }, batch, state);
    assert.ok(Math.abs(actual.loss - expected.loss) < 1e-4 * expected.loss);
    assertClose(actual.velocities, expected.velocities);
    assertClose(actual.statistics, expected.statistics);
  });
}

function assertClose(actual: Values, expected: Values): void {
  assert.deepEqual([...actual.keys()], [...expected.keys()]);
  for (const [name, wanted] of expected) assertRelative(actual.get(name) ?? [], wanted, TOLERANCE, name);
}
