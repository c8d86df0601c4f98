import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { imagenetPreprocessing } from "../../src/data/preprocessing.js";
import { writeModel } from "../../src/files/model_files.js";
import { PenniError } from "../../src/graph/errors.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { trainingPhases } from "../../src/method/phases.js";
import { runTraining } from "../../src/run/training/launch.js";
import { followLoss, guessingLoss, lossProblem, stateProblem } from "../../src/train/divergence.js";
import type { EpochMetrics, TrainingPlan } from "../../src/train/plan.js";
import type { Schedule } from "../../src/train/schedule.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-divergence-"));
after(() => rm(folder, { recursive: true, force: true }));

interface Trained {
  readonly result: string;
  readonly notices: readonly string[];
  readonly epochs: readonly EpochMetrics[];
  readonly error: PenniError | undefined;
}

interface Training {
  readonly graph?: Graph;
  readonly schedule: Schedule;
  /** Stop at the first notice. */
  readonly isStopped?: boolean;
}

/** Trains without normalisation over the batch, which would keep the loss low at any learning rate. */
async function trained(name: string, { graph = tinyCnn(), schedule, isStopped }: Training): Promise<Trained> {
  const file = (suffix: string): string => path.join(folder, `${name}.${suffix}`);
  await writeModel(file("onnx"), graph);
  const plan: TrainingPlan = {
    stage: name,
    network: file("onnx"),
    result: file("result.onnx"),
    checkpoint: file("ckpt"),
    data: {
      spec: "synthetic:200",
      preprocessing: imagenetPreprocessing,
      augmentation: { padding: 2, flip: false },
      validation: 0.1,
    },
    seed: 1,
    batch: 16,
    epochs: 2,
    phases: trainingPhases(graph, {
      mode: "joint",
      sparse: { l1: "none", masked: false },
      scaleBasisRate: false,
    }),
    phaseEpochs: 1,
    schedule,
    l1Strength: 0,
    optimizer: { momentum: 0.9, weightDecay: 0 },
    loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
    batchNormalization: "frozen",
    sparse: [],
    threads: 1,
    checkpointSeconds: 1000,
  };
  const controller = new AbortController();
  const notices: string[] = [];
  const epochs: EpochMetrics[] = [];
  const listener = {
    notice: (text: string) => {
      notices.push(text);
      if (isStopped === true) controller.abort();
    },
    epoch: (metrics: EpochMetrics) => void epochs.push(metrics),
  };
  let error: PenniError | undefined;
  try {
    await runTraining(plan, listener, controller.signal);
  } catch (thrown) {
    assert.ok(thrown instanceof PenniError);
    error = thrown;
  }
  return { result: plan.result, notices, epochs, error };
}

const cosine = (initial: number): Schedule => ({ kind: "cosine", initial });

/** The same epochs without what was told about going back. */
const plain = (epochs: readonly EpochMetrics[]): EpochMetrics[] =>
  epochs.map(({ recoveries: _recoveries, ...rest }) => rest);

const output = { output: "y", weight: 1, deviation: 7 };
const loss = { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 4 };

test("guessing costs ln K, times T² for the distillation's part", () => {
  assert.equal(guessingLoss(loss, [], 10), Math.log(10));
  assert.equal(guessingLoss(loss, [], 10, true), 10 * Math.log(2));
  const mixed = { ...loss, crossEntropy: 0.3, distillation: 0.7 };
  const matched = [{ loss: { ...output, measure: "kl", axis: 1 } as const, classes: 1000 }];
  assert.ok(Math.abs(guessingLoss(mixed, matched, 1000) - (0.3 + 0.7 * 16) * Math.log(1000)) < 1e-12);
});

test("guessing costs the variance of outputs that are numbers, in units of it, weighted", () => {
  const distilled = { ...loss, crossEntropy: 0, distillation: 2 };
  const matched = [
    { loss: { ...output, measure: "mse" } as const, classes: 1 },
    { loss: { ...output, weight: 3, measure: "smooth-l1" } as const, classes: 1 },
    { loss: { ...output, measure: "kl", axis: "each" } as const, classes: 2 },
  ];
  assert.equal(guessingLoss(distilled, matched, 1), 2 * (1 + 3 * 0.5 + 16 * Math.log(2)));
});

test("a loss that is no finite number is a problem from the first step on", () => {
  for (const bad of [Number.NaN, Infinity, -Infinity])
    assert.match(lossProblem(bad, undefined, 2.3) ?? "", /^the loss is (NaN|-?Infinity)$/);
});

test("a loss ten times what guessing costs and the best running mean is a problem", () => {
  const good = followLoss(undefined, 0.5);
  assert.equal(lossProblem(22, good, 2.3), undefined);
  assert.match(lossProblem(24, good, 2.3) ?? "", /the loss is 24.0, more than 10 times 2.30/);
  // A network that starts damaged is judged by where it starts, whatever that is.
  assert.equal(lossProblem(5000, undefined, 2.3), undefined);
  const damaged = followLoss(undefined, 5000);
  assert.equal(lossProblem(30_000, damaged, 2.3), undefined);
  assert.notEqual(lossProblem(60_000, damaged, 2.3), undefined);
});

test("a loss that grows slowly is found too: the running mean may rise, the best does not", () => {
  let trend = followLoss(undefined, 1);
  let value = 1;
  while (lossProblem(value, trend, 2.3) === undefined && value < 1000) {
    trend = followLoss(trend, value);
    value *= 1.01;
  }
  assert.ok(value < 24, `${value}`);
});

test("the state problem names the first tensor with a value that is not finite", () => {
  const tensor = (...values: number[]) => ({ dims: [values.length], data: Float32Array.from(values) });
  assert.equal(stateProblem(new Map([["a", tensor(1, -0, 3e38)]])), undefined);
  for (const bad of [Number.NaN, Infinity, -Infinity]) {
    const tensors = new Map([
      ["a", tensor(1)],
      ["b", tensor(1, bad)],
    ]);
    assert.match(stateProblem(tensors) ?? "", /^"b" has values that are not finite/);
  }
});

test("a run that diverges goes back and is from then on the run with the smaller learning rate", async () => {
  const wild = await trained("wild", { schedule: cosine(0.4) });
  const calm = await trained("calm", { schedule: cosine(0.1) });
  assert.equal(wild.error, undefined);
  assert.deepEqual(calm.notices, []);
  assert.equal(wild.notices.length, 2);
  assert.match(
    wild.notices[0] ?? "",
    /the loss is .* at step 2 of stage "wild": back to step 0 with 0.5 times/,
  );
  assert.match(wild.notices[1] ?? "", /0.25 times the learning rate \(attempt 2 of 3\)/);
  assert.deepEqual(
    wild.epochs[0]?.recoveries?.map(({ backTo, rateFactor }) => [backTo, rateFactor]),
    [
      [0, 0.5],
      [0, 0.25],
    ],
  );
  const calmed = plain(calm.epochs).map((metrics) => ({ ...metrics, stage: "wild" }));
  assert.deepEqual(plain(wild.epochs), calmed);
  assert.ok((await readFile(wild.result)).equals(await readFile(calm.result)));
});

test("stopped after going back and resumed, a run ends as one that was not", async () => {
  const schedule = cosine(0.2);
  const whole = await trained("again", { schedule });
  await rm(path.join(folder, "again.ckpt"));
  await rm(path.join(folder, "again.previous.ckpt"));
  const stopped = await trained("again", { schedule, isStopped: true });
  assert.equal(stopped.error?.code, "interrupted");
  const resumed = await trained("again", { schedule });
  assert.deepEqual(resumed.notices, []);
  assert.deepEqual(resumed.epochs, whole.epochs);
});

test("a run that diverges later goes back to its last checkpoint, not to the start", async () => {
  const schedule: Schedule = { kind: "step", initial: 0.05, factor: 40, milestones: [0.6] };
  const { notices, epochs, error } = await trained("late", { schedule });
  assert.equal(error, undefined);
  assert.match(notices[0] ?? "", /back to step 11 with/);
  assert.deepEqual(epochs[0]?.recoveries, undefined);
  assert.equal(epochs[1]?.recoveries?.length, notices.length);
});

test("a run that diverges at every learning rate gives up and says what to do", async () => {
  const { notices, epochs, error } = await trained("hopeless", { schedule: cosine(100) });
  assert.deepEqual([notices.length, epochs, error?.code], [3, [], "diverged"]);
  assert.match(
    error?.message ?? "",
    /diverges.*at learning rate 12\. Start a new run with .*--lr.* well below 12$/,
  );
});

test("a network that is broken from the start is an error at once", async () => {
  const graph = tinyCnn();
  const [name = "", tensor] = [...graph.initializers].find(([, { dims }]) => dims.length === 4) ?? [];
  const { dims = [] } = tensor ?? {};
  const weights = new Array<number>(dims.reduce((product, dim) => product * dim, 1)).fill(Number.NaN);
  const initializers = new Map(graph.initializers).set(name, float32Tensor(dims, weights));
  const { notices, error } = await trained("broken", {
    graph: { ...graph, initializers },
    schedule: cosine(0.1),
  });
  assert.deepEqual([notices, error?.code], [[], "diverged"]);
  assert.match(error?.message ?? "", /no usable loss: found the loss is NaN at step 1 of stage "broken"\./);
});
