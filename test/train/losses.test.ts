import assert from "node:assert/strict";
import { test } from "node:test";
import { float32Data } from "../../src/graph/tensor.js";
import type { Tensor } from "../../src/graph/types.js";
import { buildGradients } from "../../src/train/gradients.js";
import { emitLoss, type LossOptions } from "../../src/train/losses.js";
import { assertNear, builderOver, compute, differences, randomIn } from "./support.js";

const BATCH = 3;
const CLASSES = 5;
const labels = [4, 0, 2];
const logits = randomIn([BATCH, CLASSES], 1, -4, 4);
const teacher = randomIn([BATCH, CLASSES], 2, -4, 4);

const feeds = new Map<string, Tensor>([
  ["z", logits],
  [
    "labels",
    { type: "int64", dims: [BATCH], bytes: new Uint8Array(BigInt64Array.from(labels, BigInt).buffer) },
  ],
  ["teacher", teacher],
]);

function logSoftmax(z: readonly number[]): number[] {
  const largest = Math.max(...z);
  const normalizer = largest + Math.log(z.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  return z.map((value) => value - normalizer);
}

function rows(values: readonly number[]): number[][] {
  return Array.from({ length: BATCH }, (_, row) => values.slice(row * CLASSES, (row + 1) * CLASSES));
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** torch.nn.CrossEntropyLoss(label_smoothing) by its documentation: (1 - ε) NLL + ε · mean over classes. */
function crossEntropy(z: readonly number[], smoothing: number): number {
  return mean(
    rows(z).map((row, image) => {
      const log = logSoftmax(row);
      return -(1 - smoothing) * (log[labels[image] ?? 0] ?? 0) - smoothing * mean(log);
    }),
  );
}

/** T² · KL(softmax(teacher / T) || softmax(z / T)), mean over the batch (Hinton et al. 2015). */
function distillation(z: readonly number[], temperature: number): number {
  const known = rows(Array.from(float32Data(teacher)));
  const divergences = rows(z).map((row, image) => {
    const p = logSoftmax((known[image] ?? []).map((value) => value / temperature));
    const q = logSoftmax(row.map((value) => value / temperature));
    return p.reduce((sum, value, k) => sum + Math.exp(value) * (value - (q[k] ?? 0)), 0);
  });
  return temperature ** 2 * mean(divergences);
}

const cases: readonly (LossOptions & { readonly name: string })[] = [
  { name: "cross-entropy", crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
  { name: "smoothed cross-entropy", crossEntropy: 1, labelSmoothing: 0.1, distillation: 0, temperature: 1 },
  { name: "distillation at T = 1", crossEntropy: 0, labelSmoothing: 0, distillation: 1, temperature: 1 },
  { name: "distillation at T = 4", crossEntropy: 0, labelSmoothing: 0, distillation: 1, temperature: 4 },
  { name: "both, weighted", crossEntropy: 0.3, labelSmoothing: 0.2, distillation: 0.7, temperature: 4 },
];

for (const { name, ...options } of cases) {
  test(`${name}: value (1e-6) and gradient (1e-6) against float64`, async () => {
    const reference = (z: readonly number[]): number =>
      options.crossEntropy * crossEntropy(z, options.labelSmoothing) +
      (options.distillation === 0 ? 0 : options.distillation * distillation(z, options.temperature));
    const b = builderOver(feeds);
    const loss = emitLoss(b, "z", "labels", options.distillation > 0 ? "teacher" : undefined, options);
    const gradient = buildGradients(b, [...b.nodes], loss, ["z"]).get("z");
    assert.ok(gradient !== undefined);
    const used = new Map([...feeds].filter(([input]) => b.nodes.some((node) => node.inputs.includes(input))));
    const [value, dz] = await compute(b, used, [loss, gradient]);
    const z = Array.from(float32Data(logits));
    assertNear(value ?? [], [reference(z)], 1e-6, "loss");
    assertNear(dz ?? [], differences(reference, z), 1e-6, "gradient");
  });
}

test("huge logits give a finite loss and gradient", async () => {
  const huge = new Map(feeds).set("z", randomIn([BATCH, CLASSES], 3, -1e4, 1e4));
  const b = builderOver(huge);
  const options = { crossEntropy: 1, labelSmoothing: 0.1, distillation: 1, temperature: 4 };
  const loss = emitLoss(b, "z", "labels", "teacher", options);
  const gradient = buildGradients(b, [...b.nodes], loss, ["z"]).get("z") ?? "";
  for (const values of await compute(b, huge, [loss, gradient])) {
    assert.ok(values.every(Number.isFinite));
  }
});
