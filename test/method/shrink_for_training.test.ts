import assert from "node:assert/strict";
import { test } from "node:test";
import { keptElements } from "../../src/graph/mapping.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { trainableParameters } from "../../src/method/parameters.js";
import { layerChannels, shrink, shrinkWithMapping } from "../../src/method/shrink.js";
import {
  shrinkForTraining,
  type TrainingShrink,
  type TrainingShrinkOptions,
} from "../../src/method/shrink_for_training.js";
import type { UpdateRule } from "../../src/train/optimizer.js";
import { Network } from "../../support/network.js";
import {
  initializer,
  runTrainingStep,
  type StepResult,
  type StepSettings,
  type Values,
  withValues,
} from "../../support/training_step.js";
import { assertNear } from "../train/support.js";

const BATCH = 4;
const labels = [0, 1, 2, 1];
const plain: UpdateRule = { l1: "none", masked: false, rate: 1 };
const batchMode = { batchNormalization: "batch" } as const;

function settingsFor(network: Graph, changes: Partial<StepSettings> = {}): StepSettings {
  return {
    trained: new Map([...trainableParameters(network).keys()].map((name) => [name, plain])),
    optimizer: { momentum: 0, weightDecay: 0 },
    learningRate: 0.1,
    l1Strength: 0,
    batchNormalization: "batch",
    ...changes,
  };
}

interface Dead {
  /** Channels of the first layer, of six, that are zero; `deadReads`: those that the second one does not read. */
  readonly channels?: readonly number[];
  readonly deadReads?: readonly number[];
  /** What the first BatchNormalization adds. */
  readonly shift?: readonly number[];
  readonly pad?: number;
}

/** Decomposed Conv 3 > 6, BatchNormalization, Relu, decomposed Conv 6 > 5, BatchNormalization, Relu, pooling, Gemm. */
function deadNetwork({ channels = [], deadReads = [], shift, pad = 1 }: Dead): {
  net: Network;
  network: Graph;
} {
  const net = new Network(7);
  const hidden = net.relu(net.norm(net.conv("x", 6, { pad: 1, basis: 4, deadOutputs: channels }), shift));
  const second = net.relu(net.norm(net.conv(hidden, 5, { pad, basis: 4, deadInputs: deadReads })));
  const logits = net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [second])]), 3);
  return { net, network: fixBatch(net.graph([logits]), BATCH) };
}

function batchOf(net: Network) {
  const images = net.feeds(BATCH).get("x");
  assert.ok(images !== undefined);
  return { images, labels };
}

function shrunkOf(network: Graph, options: TrainingShrinkOptions = batchMode): TrainingShrink {
  const shrunk = shrinkForTraining(network, options);
  assert.ok(shrunk !== undefined);
  return shrunk;
}

/** Checks that all values of `got` are those that are kept of `want`. */
function assertKept({ mapping }: TrainingShrink, want: Values, got: Values, what: string): void {
  for (const [name, values] of got) {
    const origin = mapping.get(name);
    assert.ok(origin !== undefined, name);
    assertNear(
      values,
      keptElements(origin, want.get(origin.source) ?? new Float32Array()),
      1e-5,
      `${what} ${name}`,
    );
  }
}

/** Names of the parameters that have other gradients after shrinking. */
function differing({ mapping }: TrainingShrink, want: StepResult, got: StepResult): string[] {
  return [...got.velocities].flatMap(([name, values]) => {
    const origin = mapping.get(name);
    const expected = origin && keptElements(origin, want.velocities.get(origin.source) ?? new Float32Array());
    return expected?.every((value, at) => Math.abs(value - (values[at] ?? 0)) < 1e-5) === true ? [] : [name];
  });
}

const widths = (graph: Graph): readonly string[] =>
  layerChannels(graph).map(({ inputs, outputs }) => `${inputs}>${outputs}`);

test("channels that are zero behind their ReLU go, and the rest of the training is the same", async () => {
  const { net, network } = deadNetwork({ channels: [1, 4], shift: [0.3, -0.4, 0.1, 0.2, -0.1, 0.5] });
  const shrunk = shrunkOf(network);
  assert.deepEqual(widths(shrunk.graph), ["3>4", "4>5", "5>3"]);
  assert.deepEqual([shrunk.vanished, shrunk.added], [[], []]);
  const rule: UpdateRule = { l1: "proximal", masked: false, rate: 1 };
  const settings = settingsFor(network, {
    trained: new Map([...trainableParameters(network).keys()].map((name) => [name, rule])),
    optimizer: { momentum: 0.9, weightDecay: 1e-2 },
    l1Strength: 1e-3,
  });
  let [large, small] = [network, shrunk.graph];
  let [largeVelocities, smallVelocities]: [Values, Values] = [new Map(), new Map()];
  for (let step = 0; step < 6; step++) {
    const batch = batchOf(net);
    const want = await runTrainingStep(large, settings, batch, { velocities: largeVelocities });
    const got = await runTrainingStep(small, settings, batch, { velocities: smallVelocities });
    assertNear([got.loss], [want.loss], 1e-5, "loss");
    for (const key of ["parameters", "velocities", "statistics"] as const)
      assertKept(shrunk, want[key], got[key], key);
    large = withValues(large, want.parameters, want.statistics);
    small = withValues(small, got.parameters, got.statistics);
    [largeVelocities, smallVelocities] = [want.velocities, got.velocities];
  }
});

test("a dead channel holds its bias, whatever the running statistics say; frozen ones count", async () => {
  const dead = deadNetwork({ channels: [1], shift: [0.3, 0.4, 0.1, 0.2, 0.1, 0.5], pad: 0 });
  const network = withValues(dead.network, new Map([["mean", new Float32Array(6).fill(-0.5)]]));
  const batch = batchOf(dead.net);
  for (const batchNormalization of ["batch", "frozen"] as const) {
    const shrunk = shrunkOf(network, { batchNormalization });
    assert.deepEqual(widths(shrunk.graph), ["3>5", "5>5", "5>3"]);
    assert.equal(shrunk.added.length, 1, "a bias with the constant");
    const settings = settingsFor(network, { batchNormalization });
    const want = await runTrainingStep(network, settings, batch, { velocities: new Map() });
    const got = await runTrainingStep(shrunk.graph, settings, batch, { velocities: new Map() });
    assertNear([got.loss], [want.loss], 1e-5, "loss");
    // No gradient through the constant reaches the basis; in front of batch statistics there is none.
    const changed = batchNormalization === "batch" ? [] : ["basis_2"];
    assert.deepEqual(differing(shrunk, want, got), changed);
  }
});

test("before zero padding one constant channel stands for all and gets their gradients", async () => {
  const shift = [0.3, 0.4, 0.1, 0.2, 0.8, 0.5];
  const { net, network } = deadNetwork({ channels: [1, 2, 4], shift });
  const shrunk = shrunkOf(network);
  assert.deepEqual(widths(shrunk.graph), ["3>4", "4>5", "5>3"]);
  const batch = batchOf(net);
  const settings = settingsFor(network);
  const want = await runTrainingStep(network, settings, batch, { velocities: new Map() });
  const got = await runTrainingStep(shrunk.graph, settings, batch, { velocities: new Map() });
  assertNear([got.loss], [want.loss], 1e-5, "loss");

  // Its own bias and its zero coefficients, which two steps without a mask would bring back to life.
  assert.deepEqual(differing(shrunk, want, got), ["coefs", "shift"]);
  const gradients = want.velocities.get("shift") ?? [];
  const merged = [1, 2, 4].reduce(
    (sum, lane) => sum + ((gradients[lane] ?? 0) * (shift[lane] ?? 0)) / (shift[4] ?? 1),
    0,
  );
  const position = shrunk.mapping.get("shift")?.kept[0]?.indexOf(4) ?? -1;
  assert.ok(Math.abs((got.velocities.get("shift")?.[position] ?? Number.NaN) - merged) < 1e-5);
});

test("names stay; what goes, what is new and what it saves is told", () => {
  const { network } = deadNetwork({ deadReads: [0, 3] });
  const shrunk = shrunkOf(network);
  assert.deepEqual([...shrunk.graph.initializers.keys()].sort(), [...network.initializers.keys()].sort());
  const [first, second] = shrunk.layers;
  assert.equal(first?.output, layerChannels(network)[0]?.node.outputs[0]);
  assert.deepEqual([first?.before.outputs, first?.after?.outputs], [6, 4]);
  assert.deepEqual([second?.before.inputs, second?.after?.inputs], [6, 4]);
  // 36 positions and 9 taps for each of the kernels; the classifier has 15 weights.
  const macs = (hidden: number): number => BATCH * (36 * 9 * (3 * hidden + hidden * 5) + 15);
  assert.deepEqual(shrunk.macs, { before: macs(6), after: macs(4) });
  assert.deepEqual(shrunk.mapping.get("coefs_2"), {
    source: "coefs_2",
    dims: [5, 6, 4],
    kept: [[0, 1, 2, 3, 4], [1, 2, 4, 5], undefined],
    folded: false,
  });
});

test("a network is rebuilt only where that saves enough, in blocks of channels if asked", () => {
  const { network } = deadNetwork({ deadReads: [0, 3] });
  assert.equal(shrinkForTraining(network, { ...batchMode, minimumGain: 0.34 }), undefined);
  assert.deepEqual(widths(shrunkOf(network, { ...batchMode, minimumGain: 0.33 }).graph)[0], "3>4");
  assert.deepEqual(widths(shrunkOf(network, { ...batchMode, multiple: 5 }).graph)[0], "3>5");
  assert.equal(shrinkForTraining(network, { ...batchMode, multiple: 6 }), undefined);
  assert.equal(shrinkForTraining(deadNetwork({}).network, batchMode), undefined);
});

test("a scale of 0 removes nothing while it is trained", () => {
  const { network } = deadNetwork({});
  const zeroed = withValues(network, new Map([["scale", new Float32Array(6)]]));
  assert.equal(shrinkForTraining(zeroed, batchMode), undefined);
  assert.equal(shrinkForTraining(zeroed, { batchNormalization: "frozen" }), undefined);
  assert.equal(widths(shrink(zeroed))[0], "3>1");
});

test("a parameter that two nodes read stays one parameter", () => {
  const net = new Network(8);
  const weight = net.parameter("weight", [6, 3, 1, 1]);
  const read = (dead: readonly number[]): string =>
    net.conv(net.relu(net.op("Conv", ["x", weight])), 4, { kernel: 1, deadInputs: dead });
  const graph = net.graph([read([0, 1]), read([4])]);
  for (const batchNormalization of ["batch", "frozen"] as const)
    assert.equal(shrinkForTraining(graph, { batchNormalization }), undefined);
  const { mapping } = shrinkWithMapping(graph);
  assert.deepEqual(
    ["weight", "weight_4"].map((name) => mapping.get(name)?.source ?? name),
    ["weight", "weight"],
  );
});

test("unused basis kernels are told by their indices", () => {
  const net = new Network(9);
  const { graph, mapping } = shrinkWithMapping(
    net.graph([net.conv(net.relu(net.conv("x", 6, { basis: 4, deadBasis: [1] })), 4, { deadInputs: [5] })]),
  );
  assert.deepEqual(mapping.get("coefs")?.kept, [
    [0, 1, 2, 3, 4],
    [0, 1, 2],
    [0, 2, 3],
  ]);
  assert.deepEqual(mapping.get("basis")?.kept, [[0, 2, 3], undefined]);
  assert.deepEqual(initializer(graph, "basis").dims, [3, 9]);
});
