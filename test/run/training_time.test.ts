import assert from "node:assert/strict";
import { test } from "node:test";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { countGraph } from "../../src/measure/count.js";
import { newNetwork } from "../../src/networks/index.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { presets, type Settings } from "../../src/run/config.js";
import { expectedTraining } from "../../src/run/training_time.js";

const image = [3, 32, 32] as const;
const network = (name: "resnet20" | "resnet56") =>
  simplify(newNetwork(name, { classes: 10, image, seed: 1, metadata: new Map() }));
const small = network("resnet20");

/** The seconds, which there must be. */
function seconds(settings: Settings, count = 50_000, teacher?: ReturnType<typeof network>): number {
  const expected = expectedTraining(small, teacher, count, settings);
  assert.ok(expected !== undefined);
  return expected.seconds;
}

test("the fast preset on CIFAR-10 is expected to take what docs/benchmarks.md has for it: 10 min 22 s", () => {
  const expected = expectedTraining(small, undefined, 50_000, presets.fast);
  assert.equal(expected?.epochs, 5.5);
  assert.equal(expected?.images, 47_500);
  assert.equal(expected?.isRepeated, false);
  assert.ok(Math.abs(expected.seconds / 622 - 1) < 0.2, `${expected.seconds}`);
});

test("it grows with epochs, images, and whoever is learned from", () => {
  const { fast, paper } = presets;
  assert.ok(seconds(paper) > 10 * seconds(fast));
  const half = seconds(fast, 25_000) / seconds(fast);
  assert.ok(Math.abs(half - 0.5) < 1e-3, `${half}`);
  const [own, other] = [small, network("resnet56")].map((one) => countGraph(fixBatch(one, 1)).executedMacs);
  assert.ok(own !== undefined && other !== undefined && other > 2 * own);
  assert.ok(seconds(fast, 50_000, network("resnet56")) > 1.3 * seconds(fast));
  assert.ok(seconds({ ...fast, trainLimit: 1000 }) < seconds(fast) / 10);
  const alone = { ...fast.loss, crossEntropy: 1, distillation: 0 };
  assert.ok(seconds({ ...fast, loss: alone }) < 0.8 * seconds(fast));
});

test("there is none without a training, and none is said of other devices", () => {
  assert.equal(expectedTraining(small, undefined, 50_000, presets.calibrate), undefined);
  assert.equal(expectedTraining(small, undefined, 50_000, { ...presets.fast, device: "cuda" }), undefined);
});

test("a goal is searched for with a training for each try", () => {
  const settings: Settings = { ...presets.fast, prune: { rule: "size", bytes: 100_000, file: "onnx" } };
  assert.equal(expectedTraining(small, undefined, 50_000, settings)?.isRepeated, true);
});
