import assert from "node:assert/strict";
import { test } from "node:test";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Tensor } from "../../src/graph/types.js";
import type { TypedBuilder } from "../../src/ops/inference/builder.js";
import { buildGradients } from "../../src/train/gradients.js";
import { emitLoss, type LossOptions } from "../../src/train/losses.js";
import type { OutputLoss } from "../../src/train/outputs.js";
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

/** The loss over "z", "labels" and "teacher" as a classifier's. */
function emitClassifierLoss(b: TypedBuilder, options: LossOptions, isEach = false): string {
  const loss = { output: "z", measure: "kl", axis: 1, weight: 1, deviation: 1 } as const;
  const matched = options.distillation > 0 ? [{ loss, value: "z", teacher: "teacher" }] : [];
  return emitLoss(b, { classified: { logits: "z", labels: "labels", isEach }, matched }, options);
}

for (const { name, ...options } of cases) {
  test(`${name}: value (1e-6) and gradient (1e-6) against float64`, async () => {
    const reference = (z: readonly number[]): number =>
      options.crossEntropy * crossEntropy(z, options.labelSmoothing) +
      (options.distillation === 0 ? 0 : options.distillation * distillation(z, options.temperature));
    const b = builderOver(feeds);
    const loss = emitClassifierLoss(b, options);
    const gradient = buildGradients(b, [...b.nodes], loss, ["z"]).get("z");
    assert.ok(gradient !== undefined);
    const used = new Map([...feeds].filter(([input]) => b.nodes.some((node) => node.inputs.includes(input))));
    const [value, dz] = await compute(b, used, [loss, gradient]);
    const z = Array.from(float32Data(logits));
    assertNear(value ?? [], [reference(z)], 1e-6, "loss");
    assertNear(dz ?? [], differences(reference, z), 1e-6, "gradient");
  });
}

/** torch.nn.BCEWithLogitsLoss by its documentation, summed over classes; smoothed targets as of the cross-entropy. */
function binaryCrossEntropy(z: readonly number[], smoothing: number): number {
  const logSigmoid = (x: number): number => -Math.log1p(Math.exp(-x));
  const of = (row: readonly number[], image: number): number =>
    row.reduce((sum, x, k) => {
      const target = (k === labels[image] ? 1 - smoothing : 0) + smoothing / CLASSES;
      return sum - target * logSigmoid(x) - (1 - target) * logSigmoid(-x);
    }, 0);
  return mean(rows(z).map(of));
}

for (const smoothing of [0, 0.2]) {
  test(`a probability of each class's own, smoothed by ${smoothing}: value and gradient against float64`, async () => {
    const b = builderOver(feeds);
    const options = { crossEntropy: 1, labelSmoothing: smoothing, distillation: 0, temperature: 1 };
    const loss = emitClassifierLoss(b, options, true);
    const gradient = buildGradients(b, [...b.nodes], loss, ["z"]).get("z") ?? "";
    const used = new Map([...feeds].filter(([input]) => b.nodes.some((node) => node.inputs.includes(input))));
    const [value, dz] = await compute(b, used, [loss, gradient]);
    const z = Array.from(float32Data(logits));
    assertNear(value ?? [], [binaryCrossEntropy(z, smoothing)], 1e-5, "loss");
    assertNear(
      dz ?? [],
      differences((moved) => binaryCrossEntropy(moved, smoothing), z),
      1e-6,
      "gradient",
    );
  });
}

test("huge logits give a finite loss and gradient", async () => {
  const huge = new Map(feeds).set("z", randomIn([BATCH, CLASSES], 3, -1e4, 1e4));
  const b = builderOver(huge);
  const options = { crossEntropy: 1, labelSmoothing: 0.1, distillation: 1, temperature: 4 };
  const loss = emitClassifierLoss(b, options);
  const gradient = buildGradients(b, [...b.nodes], loss, ["z"]).get("z") ?? "";
  for (const values of await compute(b, huge, [loss, gradient])) {
    assert.ok(values.every(Number.isFinite));
  }
  const labelled = { crossEntropy: 1, labelSmoothing: 0.1, distillation: 0, temperature: 1 };
  const own = builderOver(huge);
  const each = emitClassifierLoss(own, labelled, true);
  const slope = buildGradients(own, [...own.nodes], each, ["z"]).get("z") ?? "";
  const { teacher: _, ...read } = Object.fromEntries(huge);
  for (const values of await compute(own, new Map(Object.entries(read)), [each, slope]))
    assert.ok(values.every(Number.isFinite));
});

const MAP = [2, 3, 2, 2] as const;
const count = 24;
const mapFeeds = new Map<string, Tensor>([
  [
    "z",
    float32Tensor(
      MAP,
      Array.from({ length: count }, (_, i) => 3 * Math.sin(i)),
    ),
  ],
  [
    "t",
    float32Tensor(
      MAP,
      Array.from({ length: count }, (_, i) => 3 * Math.cos(2 * i)),
    ),
  ],
]);

const common = { output: "y", weight: 1, deviation: 1.5 };

const partsOfMap = [
  {
    ranges: [
      [0, 1],
      [0, 2],
      [1, 2],
    ],
    deviation: 5,
  },
  {
    ranges: [
      [1, 3],
      [0, 2],
      [0, 2],
    ],
    deviation: 0.5,
  },
] as const;

interface Golden {
  readonly loss: OutputLoss;
  readonly value: number;
  /** Of the first elements, and the norm of all. */
  readonly gradient: readonly number[];
  readonly norm: number;
}

/**
 * PyTorch 1.13, float64, z = 3 sin(i) and t = 3 cos(2i) for i = 0..23 as [2, 3, 2, 2], T = 2, deviation d = 1.5:
 * - kl, axis 1: F.kl_div(F.log_softmax(z / T, 1), F.log_softmax(t / T, 1), log_target=True, reduction="sum") / 8 * T * T
 * - kl, each: torch.distributions.kl_divergence(Bernoulli(logits=t / T), Bernoulli(logits=z / T)).mean() * T * T
 * - mse: F.mse_loss(z / d, t / d);  smooth-l1: F.smooth_l1_loss(z / d, t / d)
 * - of parts, by these definitions in Python: the means of both for z[:, :1, :, 1:] with d = 5 and for z[:, 1:] with d = 0.5, halved and added
 */
const golden: Readonly<Record<string, Golden>> = {
  "kl over an axis": {
    loss: { ...common, measure: "kl", axis: 1 },
    value: 3.354133595,
    gradient: [-0.159236811, 0.118872416, 0.178867958, -0.111401729],
    norm: 0.560788485,
  },
  "kl of each element": {
    loss: { ...common, measure: "kl", axis: "each" },
    value: 1.031608218,
    gradient: [-0.02646454, 0.035881956, 0.043633405, -0.021314244],
    norm: 0.137726957,
  },
  mse: {
    loss: { ...common, measure: "mse" },
    value: 4.155470242,
    gradient: [-0.111111111, 0.139735313, 0.173660116, -0.091005587],
    norm: 0.554808625,
  },
  "mse of parts": {
    loss: { ...common, measure: "mse", parts: partsOfMap },
    value: 16.092036592,
    gradient: [0, 0.037728535, 0, -0.024571508],
    norm: 2.826825099,
  },
  "smooth-l1 of parts": {
    loss: { ...common, measure: "smooth-l1", parts: partsOfMap },
    value: 2.155441658,
    gradient: [0, 0.018864267, 0, -0.012285754],
    norm: 0.234872663,
  },
  "smooth-l1": {
    loss: { ...common, measure: "smooth-l1" },
    value: 1.282556577,
    gradient: [-0.027777778, 0.027777778, 0.027777778, -0.027777778],
    norm: 0.121812405,
  },
};

const distilled = { crossEntropy: 0, labelSmoothing: 0, distillation: 1, temperature: 2 };

async function lossAndGradient(
  values: ReadonlyMap<string, Tensor>,
  loss: OutputLoss,
): Promise<readonly Float32Array[]> {
  const b = builderOver(values);
  const value = emitLoss(b, { matched: [{ loss, value: "z", teacher: "t" }] }, distilled);
  const gradient = buildGradients(b, [...b.nodes], value, ["z"]).get("z") ?? "";
  return compute(b, values, [value, gradient]);
}

for (const [name, { loss, value, gradient, norm }] of Object.entries(golden)) {
  test(`${name}: value and gradient as PyTorch's (2e-6), gradient as finite differences (2e-3)`, async () => {
    const [found = [], dz = new Float32Array()] = await lossAndGradient(mapFeeds, loss);
    assertNear(found, [value], 2e-6, "loss");
    assertNear(dz.slice(0, 4), gradient, 2e-6, "gradient");
    assertNear([Math.hypot(...dz)], [norm], 2e-6, "norm of the gradient");
    const z = float32Data(mapFeeds.get("z") ?? float32Tensor([0], []));
    for (const index of [0, 5, 23]) {
      const moved = async (by: number): Promise<number> => {
        const data = Array.from(z).with(index, (z[index] ?? 0) + by);
        const [at] = await lossAndGradient(new Map(mapFeeds).set("z", float32Tensor(MAP, data)), loss);
        return at?.[0] ?? Number.NaN;
      };
      const step = 1e-2;
      const slope = ((await moved(step)) - (await moved(-step))) / (2 * step);
      assertNear([dz[index] ?? Number.NaN], [slope], 2e-3, `gradient of element ${index}`);
    }
  });
}

test("several outputs add up with their weights, and the same output costs nothing", async () => {
  const b = builderOver(mapFeeds);
  const loss = { ...common, measure: "mse" } as const;
  const total = emitLoss(
    b,
    {
      matched: [
        { loss: { ...loss, weight: 2 }, value: "z", teacher: "t" },
        { loss: { ...common, weight: 0.5, measure: "smooth-l1" }, value: "z", teacher: "t" },
        { loss: { ...common, measure: "kl", axis: "each" }, value: "z", teacher: "z" },
        { loss: { ...common, measure: "kl", axis: 1 }, value: "t", teacher: "t" },
      ],
    },
    { ...distilled, distillation: 0.7 },
  );
  const [value = []] = await compute(b, mapFeeds, [total]);
  assertNear(value, [0.7 * (2 * 4.155470242 + 0.5 * 1.282556577)], 5e-6, "loss");
});

test("huge scores give a finite divergence and gradient", async () => {
  const huge = new Map([...mapFeeds.keys()].map((name, at) => [name, randomIn(MAP, 7 + at, -1e4, 1e4)]));
  for (const axis of [1, "each"] as const)
    for (const values of await lossAndGradient(huge, { ...common, measure: "kl", axis }))
      assert.ok(values.every(Number.isFinite));
});
