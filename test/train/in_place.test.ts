import assert from "node:assert/strict";
import { test } from "node:test";
import { Tensor as OrtTensor } from "onnxruntime-common";
import { blockSize } from "../../src/execute/block_size.js";
import { openSession } from "../../src/execute/node.js";
import { linkGraph } from "../../src/graph/links.js";
import { topologicalSort } from "../../src/graph/passes/topological_sort.js";
import { elementCount, float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { decompose } from "../../src/method/decompose.js";
import { trainingPhases } from "../../src/method/phases.js";
import { lateReaders, writeInPlace } from "../../src/train/in_place.js";
import type { TrainingPlan } from "../../src/train/plan.js";
import { buildTrainingStep, rateOf, type TrainingStep } from "../../src/train/step.js";
import { Workbench } from "../../src/train/workbench.js";
import { benchPlan } from "../../support/benchmark_training.js";
import { node, randomTensor } from "../../support/small_models.js";
import { wideNetwork } from "../../support/wide_network.js";

const BATCH = 8;
const block = await blockSize();

function planFor(network: Graph): TrainingPlan {
  const sparse = { l1: "proximal", masked: false } as const;
  return {
    ...benchPlan(network, { batch: BATCH, threads: 2 }),
    phases: trainingPhases(network, { mode: "alternating", sparse, scaleBasisRate: false }),
    l1Strength: 1e-4,
  };
}

const plain = wideNetwork(BATCH);
const networks: Readonly<Record<string, Graph>> = {
  plain,
  decomposed: decompose(plain, { basis: 6 }),
};

function stepOf(network: Graph, blocked: boolean): TrainingStep {
  const { phases, ...plan } = planFor(network);
  const trained = new Map(phases.flatMap((phase) => Object.entries(phase.trained)));
  return buildTrainingStep(network, new Set(trained.keys()), {
    ...plan,
    trained,
    ...(blocked && block !== undefined ? { block } : {}),
  });
}

const slotsOf = ({ parameters, velocities }: TrainingStep) => [
  ...parameters.values(),
  ...velocities.values(),
];

for (const [name, network] of Object.entries(networks)) {
  for (const blocked of [false, true]) {
    const form = `${name} network's step ${blocked ? "in blocks" : "of standard operators"}`;

    test(`a ${form} updates its large parameters after whatever reads them`, () => {
      const built = stepOf(network, blocked);
      const late = [...built.parameters.values()].filter((slot) => {
        const isLarge = elementCount(slot.dims) >= 65_536;
        return isLarge && lateReaders(linkGraph(built.graph), slot).length > 0;
      });
      assert.ok(late.length > 0, "nothing to put in order");
      const step = writeInPlace(built);
      const links = linkGraph(step.graph);
      for (const slot of slotsOf(step)) {
        assert.equal(slot.inPlace, elementCount(slot.dims) >= 65_536, slot.input);
        if (slot.inPlace) assert.deepEqual(lateReaders(links, slot), [], slot.input);
      }
    });
  }
}

/** y = x · w, and w less `rate` times itself; only the order of the nodes says which comes first. */
function readAndUpdate(isUpdateLast: boolean): TrainingStep {
  const float = (name: string, shape: readonly number[]) => ({
    name,
    type: { elementType: "float32" as const, shape },
  });
  const read = [node("MatMul", ["x", "w"], "y")];
  const update = [
    node("Identity", ["rate"], rateOf("w")),
    node("Mul", ["w", rateOf("w")], "change"),
    node("Sub", ["w", "change"], "new"),
  ];
  const outputs = [float("y", [1, 256]), float("new", [256, 256])];
  const graph: Graph = {
    name: "read_and_update",
    opsets: new Map([["", 17]]),
    inputs: [float("x", [1, 256]), float("w", [256, 256]), float("rate", [])],
    outputs: isUpdateLast ? outputs : outputs.toReversed(),
    nodes: isUpdateLast ? [...read, ...update] : [...update, ...read],
    initializers: new Map(),
    valueInfo: new Map(),
    metadata: new Map(),
  };
  const none = new Map();
  return {
    graph,
    parameters: new Map([["w", { input: "w", output: "new", dims: [256, 256] }]]),
    velocities: none,
    statistics: none,
    masks: none,
    constants: none,
    teachers: none,
    dropped: [],
  };
}

for (const isUpdateLast of [true, false]) {
  test(`ONNX Runtime updates after it has read, with the update ${isUpdateLast ? "last" : "first"}`, async () => {
    const step = writeInPlace(readAndUpdate(isUpdateLast));
    const graph = topologicalSort(step.graph);
    const session = await openSession(graph, { returnsTargets: true, threads: 2 });
    const tensor = (dims: readonly number[], value: number): OrtTensor =>
      new OrtTensor("float32", new Float32Array(elementCount(dims)).fill(value), [...dims]);
    const w = tensor([256, 256], 1);
    const y = tensor([1, 256], 0);
    await session.run({ x: tensor([1, 256], 1), w, rate: tensor([], 0.5) }, { y, new: w });
    await session.release();
    assert.deepEqual([y.data, w.data], [tensor([1, 256], 256).data, tensor([256, 256], 0.5).data]);
  });
}

const batches = [1, 2, 3, 4].map((seed) => ({
  index: seed,
  images: Float32Array.from(float32Data(randomTensor([BATCH, 3, 8, 8], seed))),
  labels: BigInt64Array.from({ length: BATCH }, (_, image) => BigInt((image + seed) % 5)),
  size: BATCH,
  count: BATCH,
}));

/** Losses, and the state after steps that alternate between the phases and keep the state before some of them. */
async function train(network: Graph, keeps: (step: number) => boolean): Promise<unknown> {
  const plan = planFor(network);
  const bench = await Workbench.open(network, plan, [3, 8, 8]);
  const losses: number[] = [];
  for (const [step, batch] of batches.entries()) {
    const phase = step % plan.phases.length;
    const { loss, hits } = await bench.runStep(phase, batch, { rate: 0.1, number: step }, keeps(step));
    bench.commit(phase);
    losses.push(loss, hits);
  }
  const state = new Map(
    [...(await bench.snapshot())].map(([name, { data }]) => [name, Float32Array.from(data)]),
  );
  await bench.release();
  return { losses, state };
}

for (const [name, network] of Object.entries(networks)) {
  test(`steps of a ${name} network that write over its state give the same bits`, async () => {
    const kept = await train(network, () => true);
    assert.deepEqual(await train(network, () => false), kept);
    assert.deepEqual(await train(network, (step) => step % 3 === 1), kept);
  });

  test(`a step of a ${name} network leaves the state that it must keep as it is`, async () => {
    const bench = await Workbench.open(network, planFor(network), [3, 8, 8]);
    const copied = async () =>
      new Map([...(await bench.snapshot())].map(([value, { data }]) => [value, Float32Array.from(data)]));
    const before = await copied();
    for (const batch of batches.slice(0, 2)) await bench.runStep(0, batch, { rate: 0.1, number: 0 }, true);
    assert.deepEqual(await copied(), before);
    bench.commit(0);
    assert.notDeepEqual(await copied(), before);
    await bench.release();
  });
}
