import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { composeMappings, type InitializerMapping, keptElements } from "../../src/graph/mapping.js";
import { elementCount, float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { sparseParameters, trainingPhases } from "../../src/method/phases.js";
import { layerChannels } from "../../src/method/shrink.js";
import { shrinkForTraining } from "../../src/method/shrink_for_training.js";
import type { EpochMetrics, EpochTiming, TrainingPlan } from "../../src/train/plan.js";
import type { Shrinker } from "../../src/train/shrinking.js";
import { Trainer, type TrainerHooks } from "../../src/train/trainer.js";
import { Network } from "../../support/network.js";
import { assertNear, smallPlan } from "./support.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-shrinking-"));
after(() => rm(folder, { recursive: true, force: true }));

const EPOCHS = 3;
const STEPS_PER_EPOCH = 6;

/**
 * Two decomposed convolutions with BatchNormalization. Of the first one's eight channels three are zero behind
 * their ReLU, and one is read by nobody.
 */
function planted(): Graph {
  const net = new Network(7, [3, 8, 8]);
  const shift = [0.3, -0.4, 0.1, 0.2, -0.2, 0.5, -0.3, 0.4];
  const hidden = net.relu(net.norm(net.conv("x", 8, { pad: 1, basis: 4, deadOutputs: [1, 4, 6] }), shift));
  const second = net.relu(net.norm(net.conv(hidden, 6, { pad: 1, basis: 4, deadInputs: [2] })));
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [second])]);
  return net.graph([net.gemm(pooled, 10)]);
}

const network = planted();

function firstChannels(graph: Graph): number | undefined {
  return layerChannels(graph)[0]?.outputs;
}

const isUntrained = (graph: Graph): boolean =>
  sparseParameters(graph).every((name) => {
    const [now, before] = [graph, network].map((each) => each.initializers.get(name));
    return now && before && Buffer.compare(now.bytes, before.bytes) === 0;
  });

/** Nothing at the very start, then down to six channels, then to four: once an epoch. */
const inTwoGoes: Shrinker = (graph, options) => {
  if (isUntrained(graph)) return undefined;
  return shrinkForTraining(graph, { ...options, multiple: firstChannels(graph) === 8 ? 3 : 1 });
};

function planOf(name: string, changes: Partial<Omit<TrainingPlan, "data">> = {}): TrainingPlan {
  return smallPlan(folder, name, network, {
    stage: "planted",
    data: { spec: "synthetic:120", validation: 0.1 },
    epochs: EPOCHS,
    phases: trainingPhases(network, {
      mode: "alternating",
      sparse: { l1: "none", masked: true },
      scaleBasisRate: false,
    }),
    phaseEpochs: 0.5,
    schedule: { kind: "cosine", initial: 0.01 },
    optimizer: { momentum: 0.9, weightDecay: 1e-3 },
    shrinking: { multiple: 1, minimumGain: 0 },
    ...changes,
  });
}

interface Told {
  readonly epochs: EpochMetrics[];
  readonly timings: EpochTiming[];
  readonly notices: string[];
}

const KILLED = "killed";

/** Trains; `hooks` see what is told first, and end it at once where they throw. */
async function trained(
  plan: TrainingPlan,
  shrinker: Shrinker = inTwoGoes,
  hooks: Partial<TrainerHooks> = {},
): Promise<Told> {
  const [epochs, timings, notices]: [EpochMetrics[], EpochTiming[], string[]] = [[], [], []];
  const all: TrainerHooks = {
    progress: (progress) => hooks.progress?.(progress),
    epoch: (metrics) => {
      hooks.epoch?.(metrics);
      epochs.push(metrics);
    },
    timing: (timing) => {
      hooks.timing?.(timing);
      timings.push(timing);
    },
    notice: (text) => {
      hooks.notice?.(text);
      notices.push(text);
    },
    stopRequested: () => hooks.stopRequested?.() ?? false,
  };
  await Trainer.run(plan, all, { shrinker });
  return { epochs, timings, notices };
}

await writeModel(path.join(folder, "network.onnx"), network);
const wholePlan = planOf("whole");
const mappings: InitializerMapping[] = [];
const whole = await trained(wholePlan, (graph, options) => {
  const smaller = inTwoGoes(graph, options);
  if (smaller !== undefined) mappings.push(smaller.mapping);
  return smaller;
});

/** The result of a run and its metrics are the undisturbed one's to the bit. */
async function assertAsWhole(plan: TrainingPlan, { epochs }: Told): Promise<void> {
  assert.deepEqual(epochs, whole.epochs);
  assert.ok((await readFile(plan.result)).equals(await readFile(wholePlan.result)));
}

test("the network shrinks between epochs, and says so", async () => {
  assert.equal(firstChannels(await readModel(wholePlan.result)), 4);
  const macs = whole.epochs.map((epoch) => epoch.macs);
  const [first = 0, second = 0, third = 0] = macs;
  assert.ok(first > second && second > third, `${macs}`);
  // 3x3 kernels on 8x8 positions, 3 > n > 6 channels, and the last layer.
  const expected = [8, 6, 4].map((width) => 64 * 9 * (3 * width + width * 6) + 60);
  assert.deepEqual(macs, expected);
  assert.equal(whole.notices.length, 2);
  assert.equal(
    whole.notices[0],
    "shrunk before epoch 2: 0.0415 -> 0.0312 M MACs a forward pass",
    "of 41,532 and 31,164",
  );
});

test("each epoch's training time is told with its steps and its size", () => {
  assert.deepEqual(
    whole.timings.map(({ stage, epoch, steps, macs }) => ({ stage, epoch, steps, macs })),
    whole.epochs.map(({ stage, epoch, macs }) => ({ stage, epoch, steps: STEPS_PER_EPOCH, macs })),
  );
  assert.ok(whole.timings.every(({ seconds }) => seconds > 0));
});

test("it trains as it would unshrunk: losses, accuracies and all that is left (1e-4)", async () => {
  const { shrinking: _none, ...unshrunk } = planOf("unshrunk");
  const { epochs, notices } = await trained(unshrunk);
  assert.deepEqual(notices, []);
  assertNear(
    whole.epochs.map(({ loss }) => loss),
    epochs.map(({ loss }) => loss),
    1e-4,
    "loss",
  );
  assert.deepEqual(
    whole.epochs.map(({ accuracy, validation }) => [accuracy, validation]),
    epochs.map(({ accuracy, validation }) => [accuracy, validation]),
  );

  const mapping = mappings.reduce(composeMappings);
  const [large, small] = await Promise.all([unshrunk.result, wholePlan.result].map(readModel));
  assert.ok(large && small);
  const floats = [...small.initializers].filter(([, { type }]) => type === "float32");
  assert.ok(floats.length > 10);
  for (const [name, tensor] of floats) {
    const origin = mapping.get(name);
    const source = large.initializers.get(origin?.source ?? "");
    assert.ok(origin && source, name);
    assertNear(float32Data(tensor), keptElements(origin, float32Data(source)), 1e-4, name);
  }
});

test("what has been removed counts as zeros in the reported sparsity", async () => {
  const { initializers } = await readModel(wholePlan.result);
  const sizes = sparseParameters(network).map((name) =>
    elementCount(network.initializers.get(name)?.dims ?? []),
  );
  const nonZeros = sparseParameters(network).flatMap((name) => {
    const tensor = initializers.get(name);
    assert.ok(tensor, name);
    return [...float32Data(tensor)].filter((value) => value !== 0);
  });
  const elements = sizes.reduce((sum, size) => sum + size, 0);
  assert.equal(elements, 8 * 3 * 4 + 6 * 8 * 4);
  assert.equal(whole.epochs.at(-1)?.sparsity, (elements - nonZeros.length) / elements);
  assert.equal(nonZeros.length, 4 * 3 * 4 + 6 * 4 * 4);
});

/** Hooks that end a training the `count`th time that one of them is called. */
function killAt(hook: "notice" | "epoch", count: number): Partial<TrainerHooks> {
  let calls = 0;
  return {
    [hook]: () => {
      calls += 1;
      if (calls === count) throw new Error(KILLED);
    },
  };
}

const kills = {
  "after the first shrinking, before its first checkpoint": killAt("notice", 1),
  "after the second shrinking, before its first checkpoint": killAt("notice", 2),
};

for (const [moment, hooks] of Object.entries(kills)) {
  test(`killed ${moment} and resumed, it ends as undisturbed`, async () => {
    const plan = planOf(moment.replaceAll(/\W/g, "-"));
    await assert.rejects(trained(plan, inTwoGoes, hooks), { message: KILLED });
    await assertAsWhole(plan, await trained(plan));
  });
}

test("stopped and resumed after every fifth step, it ends as undisturbed", async () => {
  const plan = planOf("stopped");
  let steps = 0;
  const stopRequested = (): boolean => {
    steps += 1;
    return steps % 6 === 0;
  };
  for (let start = 0; start < Math.floor((EPOCHS * STEPS_PER_EPOCH) / 5); start++) {
    await trained(plan, inTwoGoes, { stopRequested });
  }
  await assertAsWhole(plan, await trained(plan));
});

test("an average shrinks with the network: as it would be unshrunk (1e-4), and the same when stopped", async () => {
  const averaging = 0.9;
  const plan = planOf("averaged", { averaging });
  await trained(plan);
  const { shrinking: _none, ...unshrunk } = planOf("averaged-unshrunk", { averaging });
  await trained(unshrunk);
  const mapping = mappings.reduce(composeMappings);
  const [large, small] = await Promise.all([unshrunk.result, plan.result].map(readModel));
  assert.ok(large && small);
  for (const [name, tensor] of small.initializers) {
    const origin = mapping.get(name);
    const source = large.initializers.get(origin?.source ?? "");
    if (tensor.type !== "float32" || origin === undefined || source === undefined) continue;
    // Where constants were folded in, the average began anew.
    if (!origin.folded)
      assertNear(float32Data(tensor), keptElements(origin, float32Data(source)), 1e-4, name);
  }
  const stopped = planOf("averaged-stopped", { averaging });
  let steps = 0;
  const stopRequested = (): boolean => {
    steps += 1;
    return steps % 6 === 0;
  };
  for (let start = 0; start < 3; start++) await trained(stopped, inTwoGoes, { stopRequested });
  await trained(stopped);
  assert.ok((await readFile(stopped.result)).equals(await readFile(plan.result)));
});

test("a damaged checkpoint of the smaller network gives way to one of the larger before it", async () => {
  const plan = planOf("fallback");
  await assert.rejects(trained(plan, inTwoGoes, killAt("epoch", 1)), { message: KILLED });
  await truncate(plan.checkpoint, 1000);
  const resumed = await trained(plan);
  assert.match(resumed.notices[0] ?? "", /is damaged: going on from the checkpoint before it, at step 0/);
  await assertAsWhole(plan, resumed);
});

test("a stage that is done is written again from the checkpoint of its smaller network", async () => {
  const before = await readFile(wholePlan.result);
  await rm(wholePlan.result);
  const again = await trained(wholePlan);
  assert.deepEqual([again.epochs, again.notices], [whole.epochs, []]);
  assert.ok((await readFile(wholePlan.result)).equals(before));
});

test("a state that diverges as the network shrinks is undone with it", async () => {
  // The rate explodes for the last step of the first epoch.
  const milestone = (STEPS_PER_EPOCH - 1.5) / (2 * STEPS_PER_EPOCH);
  const plan = planOf("diverged", {
    schedule: { kind: "step", initial: 0.01, factor: 3000, milestones: [milestone] },
    epochs: 2,
  });
  const seen: (number | undefined)[] = [];
  const { epochs, notices } = await trained(plan, (graph, options) => {
    seen.push(firstChannels(graph));
    return inTwoGoes(graph, options);
  });
  const [smaller, back, again] = notices;
  assert.match(smaller ?? "", /^shrunk before epoch 2/);
  assert.match(back ?? "", /^the loss is .* at step 7 of .*: back to step 0/);
  assert.equal(again, smaller);
  assert.equal(epochs.length, 2);
  // Once at the start, twice after the first epoch.
  assert.deepEqual(seen, [8, 8, 8]);
});

test("a checkpoint of a stage that shrinks otherwise is refused", async () => {
  const other = { ...wholePlan, shrinking: { multiple: 8, minimumGain: 0.5 } };
  await assert.rejects(trained(other), /other options: expected shrinking .*0\.5/);
});
