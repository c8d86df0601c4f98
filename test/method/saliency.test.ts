import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { batches, planEvaluation } from "../../src/data/batches.js";
import { sampleIndices } from "../../src/data/hold_out.js";
import { runGraph } from "../../src/execute/node.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { withInitializers } from "../../src/graph/edit.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { elementCount, float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { decompose } from "../../src/method/decompose.js";
import { prunableInitializers, pruneToMacs } from "../../src/method/prune.js";
import { lossesWithout, lossSaliencies } from "../../src/method/saliency.js";
import { presets } from "../../src/run/config.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import { gradientMoments } from "../../src/train/gradient_moments.js";
import { openTrainingImages } from "../../src/train/training_images.js";
import { Network } from "../../support/network.js";
import { randomSource } from "../../support/opcase.js";
import { smallPlan } from "../train/support.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-saliency-"));
after(() => rm(folder, { recursive: true, force: true }));

/** Without kinks, so that differences are slopes; the second convolution has a quarter of the positions. */
function classifier(): Graph {
  const net = new Network(3, [3, 8, 8]);
  const hidden = net.op("Sigmoid", [net.norm(net.conv("x", 4, { pad: 1 }))]);
  const second = net.op("Sigmoid", [net.norm(net.conv(hidden, 6, { pad: 1, stride: 2 }))]);
  return net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [second])]), 10)]);
}

const network = decompose(classifier(), { basis: 2 });
const parameters = prunableInitializers(network);

function tensorOf(graph: Graph, name: string): Tensor {
  const tensor = graph.initializers.get(name);
  assert.ok(tensor, name);
  return tensor;
}

const IMAGES = 5;
const STEP = 0.02;

for (const name of ["fisher", "taylor"] as const) {
  test(`${name}: the rise of the loss is that of the definition, by differences of the network itself (2 %)`, async () => {
    await writeModel(path.join(folder, "network.onnx"), network);
    const plan = smallPlan(folder, name, network, {
      stage: "prune",
      epochs: 1,
      phases: [],
      phaseEpochs: 1,
      schedule: { kind: "cosine", initial: 0.1 },
      optimizer: { momentum: 0.9, weightDecay: 1e-2 },
      data: { spec: "synthetic:40", validation: 0 },
    });
    const measure = lossSaliencies[name];
    const moments = await gradientMoments(plan, { parameters, of: measure.of, images: IMAGES });
    assert.deepEqual([...moments.keys()].sort(), [...parameters].sort());
    const losses = lossesWithout(network, moments, measure);

    const { split, train } = await openTrainingImages(plan, network);
    const indices = sampleIndices(train, IMAGES, plan.seed);
    const { preprocessing } = plan.data;
    const lossesOf = async (graph: Graph): Promise<number[]> => {
      const all: number[] = [];
      for await (const { images, labels } of batches(
        planEvaluation(split, indices, { batch: 1, preprocessing }),
      )) {
        const [logits] = (
          await runGraph(graph, new Map([["x", float32Tensor([1, 3, 8, 8], images)]]))
        ).values();
        assert.ok(logits && labels);
        const z = Array.from(float32Data(logits));
        const sum = z.reduce((total, value) => total + Math.exp(value), 0);
        all.push(Math.log(sum) - (z[Number(labels[0])] ?? Number.NaN));
      }
      return all;
    };
    for (const parameter of parameters) {
      const tensor = tensorOf(network, parameter);
      const [data, found] = [float32Data(tensor), losses.get(parameter)];
      assert.ok(found);
      const largest = found.reduce((most, value) => Math.max(most, value), 0);
      for (const place of [0, 5, 11, data.length - 1]) {
        const moved = (step: number): Graph => {
          const values = data.map((value, at) => (at === place ? value + step : value));
          return withInitializers(network, [[parameter, float32Tensor(tensor.dims, values)]]);
        };
        const [above, below] = [await lossesOf(moved(STEP)), await lossesOf(moved(-STEP))];
        const slopes = above.map((loss, image) => (loss - (below[image] ?? Number.NaN)) / (2 * STEP));
        const value = data[place] ?? Number.NaN;
        const mean = (of: (slope: number) => number): number =>
          slopes.reduce((sum, slope) => sum + of(slope), 0) / slopes.length;
        const expected =
          name === "fisher" ? (value ** 2 * mean((g) => g * g)) / 2 : Math.abs(value) * mean(Math.abs);
        const error = Math.abs((found[place] ?? Number.NaN) - expected);
        assert.ok(error <= 0.02 * largest, `${parameter}[${place}]: ${found[place]}, expected ${expected}`);
      }
    }
  });
}

test("to a target goes what costs the least loss for each multiply-accumulate, and no more than is needed", () => {
  const next = randomSource(7);
  const graph = fixBatch(network, 1);
  const losses = new Map(
    parameters.map((name) => {
      const count = elementCount(tensorOf(graph, name).dims);
      return [name, Float32Array.from({ length: count }, () => next() ** 4)] as const;
    }),
  );
  const counted = countGraph(graph);
  const positions = new Map(
    counted.layers.flatMap(({ sparse }) =>
      sparse === undefined ? [] : [[sparse.initializer, sparse.positions]],
    ),
  );
  const all = parameters.flatMap((name) => {
    const macs = positions.get(name) ?? Number.NaN;
    return Array.from(losses.get(name) ?? [], (loss, place) => ({ name, place, macs, price: loss / macs }));
  });
  const originalMacs = countGraph(fixBatch(classifier(), 1)).paperMacs;
  for (const fraction of [0.7, 0.6, 0.5]) {
    const pruned = pruneToMacs(graph, { fraction, losses });
    const gone = new Set<string>();
    let macs = counted.paperMacs;
    for (const each of all.toSorted((a, b) => a.price - b.price)) {
      if (macs <= fraction * originalMacs) break;
      macs -= each.macs;
      gone.add(`${each.name}[${each.place}]`);
    }
    const zeros = parameters.flatMap((name) =>
      Array.from(float32Data(tensorOf(pruned.graph, name))).flatMap((value, place) =>
        value === 0 ? [`${name}[${place}]`] : [],
      ),
    );
    assert.deepEqual(new Set(zeros), gone, `${fraction}`);
    assert.ok(countGraph(pruned.graph).paperMacs <= fraction * originalMacs);
  }
});

test("a layer that no losses are known of stays, and what costs nothing goes only where that is needed", () => {
  const graph = fixBatch(network, 1);
  const [first = "", second = ""] = parameters;
  const zeros = new Float32Array(elementCount(tensorOf(graph, second).dims));
  const losses = new Map([[second, zeros]]);
  const whole = pruneToMacs(graph, { fraction: 1, losses });
  assert.deepEqual(whole.graph.initializers.get(second), graph.initializers.get(second));
  const share = countGraph(graph).paperMacs / countGraph(fixBatch(classifier(), 1)).paperMacs;
  const pruned = pruneToMacs(graph, { fraction: 0.99 * share, losses });
  assert.deepEqual(float32Data(tensorOf(pruned.graph, first)), float32Data(tensorOf(graph, first)));
  assert.ok(float32Data(tensorOf(pruned.graph, second)).every((value) => value === 0));
});

test("a run that goes by the loss reaches its target, with another choice than by magnitude", async () => {
  const model = path.join(folder, "model.onnx");
  await writeModel(model, classifier());
  const { fast } = presets;
  const zeros = new Map<string, readonly boolean[]>();
  for (const saliency of ["magnitude", "fisher", "taylor"] as const) {
    const run = await prepareRun({
      model,
      data: "synthetic:80",
      out: path.join(folder, `run-${saliency}`),
      preset: "fast",
      seed: 1,
      settings: {
        ...fast,
        basis: 2,
        saliency,
        retrain: { ...fast.retrain, epochs: 0.5 },
        fineTune: { ...fast.fineTune, epochs: 0 },
        prune: { rule: "macs", fraction: 0.6 },
        channelMultiple: 1,
        batch: 16,
        validation: 0,
        threads: 1,
      },
    });
    const { original, compressed } = await compress(run);
    const share = compressed.paperMacs / original.paperMacs;
    assert.ok(share <= 0.6, `${saliency}: ${share}`);
    const pruned = await readModel(run.stagePath("prune"));
    const values = prunableInitializers(pruned).flatMap((name) => [...float32Data(tensorOf(pruned, name))]);
    zeros.set(
      saliency,
      values.map((value) => value === 0),
    );
  }
  assert.notDeepEqual(zeros.get("fisher"), zeros.get("magnitude"));
  assert.notDeepEqual(zeros.get("taylor"), zeros.get("fisher"));
});
