import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { decompose } from "../../src/method/decompose.js";
import { sparseParameters, trainingPhases } from "../../src/method/phases.js";
import { pruneForTraining } from "../../src/method/prune_for_training.js";
import { fractionLeft, type Pruner } from "../../src/train/gradual_pruning.js";
import type { EpochMetrics, TrainingPlan } from "../../src/train/plan.js";
import { Trainer } from "../../src/train/trainer.js";
import { Network } from "../../support/network.js";
import { smallPlan } from "./support.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-gradual-"));
after(() => rm(folder, { recursive: true, force: true }));

function smallNetwork(): Graph {
  const net = new Network(7, [3, 8, 8]);
  const hidden = net.relu(net.norm(net.conv("x", 12, { pad: 1 })));
  const second = net.relu(net.norm(net.conv(hidden, 12, { pad: 1 })));
  return net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [second])]), 10)]);
}

const macsOf = (graph: Graph): number => countGraph(fixBatch(graph, 1)).paperMacs;
const original = smallNetwork();
const network = decompose(original, { basis: 5 });
await writeModel(path.join(folder, "network.onnx"), network);

const originalMacs = macsOf(original);
const pruning = { from: macsOf(network) / originalMacs, to: 0.55, originalMacs, until: 0.5, interval: 2 };

/** 6 steps an epoch, 24 in all. */
function planOf(name: string): TrainingPlan {
  return smallPlan(folder, name, network, {
    stage: "retrain",
    data: { spec: "synthetic:100", validation: 0 },
    epochs: 4,
    phases: trainingPhases(network, {
      mode: "joint",
      sparse: { l1: "none", masked: false },
      scaleBasisRate: true,
    }),
    phaseEpochs: 1,
    schedule: { kind: "cosine", initial: 0.3 },
    optimizer: { momentum: 0.9, weightDecay: 1e-4 },
    pruning,
  });
}

/** Trains, asked to stop after so many steps if that is given. */
async function trained(plan: TrainingPlan, pruner: Pruner, steps?: number): Promise<readonly EpochMetrics[]> {
  const epochs: EpochMetrics[] = [];
  let done = 0;
  const hooks = {
    progress: () => undefined,
    epoch: (metrics: EpochMetrics) => void epochs.push(metrics),
    timing: () => undefined,
    notice: () => undefined,
    stopRequested: () => steps !== undefined && done++ >= steps,
  };
  const outcome = await Trainer.run(plan, hooks, { pruner });
  assert.equal(outcome, steps === undefined ? "done" : "stopped");
  return epochs;
}

test("the target falls as a cubic to its end and stays there", () => {
  const rule = { from: 0.9, to: 0.3, originalMacs: 1, until: 0.8, interval: 1 };
  const left = [0, 0.4, 0.8, 1].map((progress) => fractionLeft(rule, progress));
  const want = [0.9, 0.3 + 0.6 / 8, 0.3, 0.3];
  left.forEach((fraction, at) => {
    assert.ok(Math.abs(fraction - (want[at] ?? Number.NaN)) < 1e-12, `${left}`);
  });
  // What is below its target already may only come back to it.
  assert.equal(fractionLeft({ ...rule, from: 0.2 }, 0), 0.3);
});

test("coefficients go little by little, some come back, and the end is at the target", async () => {
  const fractions: number[] = [];
  const zeros: ReadonlySet<string>[] = [];
  await trained(planOf("whole"), (graph, target) => {
    fractions.push(target.fraction);
    const values = pruneForTraining(graph, target);
    const names = [...values].flatMap(([name, data]) =>
      [...data].flatMap((value, at) => (value === 0 ? [`${name} ${at}`] : [])),
    );
    zeros.push(new Set(names));
    return values;
  });
  // Every second step; the epochs' ends are among them.
  const want = Array.from({ length: 12 }, (_, at) => fractionLeft(pruning, (2 * (at + 1)) / 24));
  assert.deepEqual(fractions, want);
  const cameBack = zeros.slice(1).some((now, at) => [...(zeros[at] ?? [])].some((name) => !now.has(name)));
  assert.ok(cameBack, "no coefficient came back");
  const result = await readModel(planOf("whole").result);
  const share = macsOf(result) / originalMacs;
  assert.ok(share <= 0.55 && share > 0.54, `${share}`);
});

test("only the plan's parameters lose values", async () => {
  const [first = "", ...others] = sparseParameters(network);
  const target = { fraction: 0.6, originalMacs, parameters: others };
  const values = pruneForTraining(network, target);
  assert.deepEqual([...values.keys()], others);
  const zeros = [...values.values()].flatMap((data) => [...data]).filter((value) => value === 0).length;
  assert.ok(zeros > 0);
  const spared = network.initializers.get(first);
  assert.ok(spared !== undefined && !float32Data(spared).includes(0));
});

test("stopped anywhere and gone on with, the result and its metrics are the same to the bit", async () => {
  const whole = await trained(planOf("undisturbed"), pruneForTraining);
  assert.ok(whole.every(({ sparsity }) => sparsity > 0));
  const expected = await readFile(planOf("undisturbed").result);
  for (const steps of [1, 2, 5, 6, 13, 23]) {
    const plan = planOf(`stopped-${steps}`);
    await trained(plan, pruneForTraining, steps);
    const epochs = await trained(plan, pruneForTraining);
    assert.deepEqual(epochs, whole, `${steps} steps`);
    assert.ok((await readFile(plan.result)).equals(expected), `${steps} steps`);
  }
});
