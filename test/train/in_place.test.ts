import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Tensor as OrtTensor } from "onnxruntime-common";
import { blockSize } from "../../src/execute/block_size.js";
import { nodeEngine, openSession } from "../../src/execute/node.js";
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
import { trainingCaseOf } from "../../support/device_case.js";
import { trainCase } from "../../support/device_training.js";
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

for (const [name, network] of Object.entries(networks)) {
  for (const blocked of [false, true]) {
    const form = `a ${name} network, ${blocked ? "in blocks" : "of standard operators"}`;

    test(`steps of ${form}, that write over its state give the same bits`, async () => {
      const train = async (finish: (step: TrainingStep) => TrainingStep) => {
        const trainingCase = trainingCaseOf(network, {
          steps: 4,
          block: blocked ? block : undefined,
          finish,
        });
        const isInPlace = trainingCase.phases.flatMap(({ slots }) => slots.map(({ inPlace }) => inPlace));
        return {
          outcome: await trainCase(nodeEngine, "cpu", { ...trainingCase, returnsTargets: true }),
          inPlace: isInPlace.filter((one) => one === true).length,
        };
      };
      const inPlace = await train(writeInPlace);
      const apart = await train((step) => step);
      assert.ok(inPlace.inPlace > 0 && apart.inPlace === 0);
      assert.deepEqual(inPlace.outcome, apart.outcome);
    });
  }
}

test("a step on the workbench writes over the state's large values, and the others wait to be taken", async () => {
  const bench = await Workbench.open(plain, planFor(plain), [3, 8, 8]);
  const copied = async () =>
    new Map([...(await bench.snapshot())].map(([value, { data }]) => [value, Float32Array.from(data)]));
  const before = await copied();
  const batch = {
    index: 0,
    images: Float32Array.from(float32Data(randomTensor([BATCH, 3, 8, 8], 1))),
    labels: BigInt64Array.from({ length: BATCH }, (_, image) => BigInt(image % 5)),
    size: BATCH,
    count: BATCH,
  };
  await bench.runStep(0, batch, { rate: 0.1, number: 0 });
  const written = await copied();
  const changed = [...written].filter(([name, data]) => !isDeepStrictEqual(data, before.get(name)));
  const large = [...before].filter(([, data]) => data.length >= 65_536);
  assert.deepEqual(
    changed.map(([name]) => name),
    large.map(([name]) => name),
  );
  bench.commit(0);
  await bench.release();
});
