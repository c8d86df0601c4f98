import assert from "node:assert/strict";
import { test } from "node:test";
import { deserialize, serialize } from "node:v8";
import type { ZodType } from "zod";
import { holdOut } from "../../src/data/hold_out.js";
import { openDataset } from "../../src/data/open.js";
import { imagenetPreprocessing } from "../../src/data/preprocessing.js";
import { int, ints } from "../../src/graph/attributes.js";
import { withInitializers } from "../../src/graph/edit.js";
import { PenniError } from "../../src/graph/errors.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { NodeCalibration } from "../../src/measure/calibration.js";
import { countGraph } from "../../src/measure/count.js";
import type { CalibrationJournal } from "../../src/method/calibrate/journal.js";
import { calibrationLayers } from "../../src/method/calibrate/layers.js";
import {
  type Calibration,
  type CalibrationProgress,
  type CalibrationRuntime,
  calibrate,
} from "../../src/method/calibrate.js";
import { decompose } from "../../src/method/decompose.js";
import { pruneToMacs } from "../../src/method/prune.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { foldNormalization } from "../../src/ops/passes/fold_normalization.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { Network } from "../../support/network.js";
import { TINY_SIZE, tinyCnn } from "../../support/tiny_cnn.js";

const dataset = await openDataset("synthetic:300", { imageSize: { width: TINY_SIZE, height: TINY_SIZE } });
const split = await dataset.train();
const { train, validation } = holdOut(split, 0.3, 0);

async function runtimeOf(graph: Graph, indices = train.slice(0, 64)): Promise<NodeCalibration> {
  return NodeCalibration.open(graph, {
    split,
    indices,
    preprocessing: imagenetPreprocessing,
    threads: 1,
  });
}

async function calibrated(
  graph: Graph,
  fraction: number,
  basis: number | "auto" = "auto",
): Promise<Calibration> {
  const runtime = await runtimeOf(graph);
  try {
    return await calibrate(graph, runtime, { fraction, basis });
  } finally {
    await runtime.release();
  }
}

/** Relative error of another network's outputs on images that calibration has not seen. */
async function outputError(original: Graph, other: Graph): Promise<number> {
  const { outputs } = original;
  const merged = { ...other, outputs };
  const { runGraph } = await import("../../src/execute/node.js");
  const { batches, planEvaluation } = await import("../../src/data/batches.js");
  const { float32Data, float32Tensor } = await import("../../src/graph/tensor.js");
  const plan = planEvaluation(split, validation.slice(0, 32), {
    batch: 32,
    preprocessing: imagenetPreprocessing,
  });
  let error = 0;
  for (const { images } of batches(plan)) {
    const feeds = new Map([["x", float32Tensor([32, 3, TINY_SIZE, TINY_SIZE], images)]]);
    const [want, got] = [await runGraph(original, feeds), await runGraph(merged, feeds)];
    for (const [name, tensor] of want) {
      const wanted = float32Data(tensor);
      const found = got.get(name);
      assert.ok(found !== undefined);
      const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
      const variance = wanted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      const values = float32Data(found);
      error += wanted.reduce((sum, value, index) => sum + (value - (values[index] ?? 0)) ** 2, 0) / variance;
    }
  }
  return error / outputs.length;
}

const share = (original: Graph, other: Graph): number =>
  countGraph(fixBatch(other, 1)).paperMacs / countGraph(fixBatch(original, 1)).paperMacs;

const networks: Readonly<Record<string, () => Graph>> = {
  "a residual network": () => tinyCnn(),
  "the same, normalizations folded": () => foldNormalization(tinyCnn()),
  "grouped, depthwise, dilated and asymmetrically padded": () => {
    const net = new Network(5, [3, TINY_SIZE, TINY_SIZE]);
    const stem = net.relu(net.norm(net.conv("x", 12, { pad: 1 })));
    const grouped = net.relu(net.conv(stem, 16, { pad: 1, group: 2, bias: true }));
    const depthwise = net.relu(net.norm(net.conv(grouped, 16, { pad: 1, group: 16 })));
    const dilated = net.relu(
      net.op("Conv", [depthwise, net.parameter("wide", [12, 16, 3, 3], -0.2, 0.2)], {
        pads: ints([2, 1, 1, 2]),
        dilations: ints([2, 1]),
      }),
    );
    const mixed = net.relu(net.norm(net.conv(dilated, 12, { kernel: 1 })));
    return net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [mixed])]), 10)]);
  },
  "a shared weight and two outputs": () => {
    const net = new Network(6, [3, TINY_SIZE, TINY_SIZE]);
    const stem = net.relu(net.conv("x", 10, { pad: 1, bias: true }));
    const weight = net.parameter("shared", [10, 10, 3, 3], -0.2, 0.2);
    const pads = { pads: ints([1, 1, 1, 1]), group: int(1) };
    const once = net.relu(net.op("Conv", [stem, weight], pads));
    const twice = net.op("Conv", [once, weight], pads);
    return net.graph([twice, net.op("GlobalAveragePool", [net.conv(twice, 6, { kernel: 1 })])]);
  },
};

for (const [name, build] of Object.entries(networks)) {
  test(`${name}: the target is met, by fewer errors than SVD and magnitudes leave`, async () => {
    const graph = simplify(build());
    const fraction = 0.6;
    const { graph: result, layers } = await calibrated(graph, fraction);
    verifyTypes(result);
    assert.ok(share(graph, result) <= fraction + 1e-6, `${share(graph, result)}`);
    assert.ok(share(graph, result) > fraction - 0.05);
    assert.ok(layers.some(({ d }) => d > 0));
    const originalMacs = countGraph(fixBatch(graph, 1)).paperMacs;
    const plain = pruneToMacs(fixBatch(decompose(graph, { basis: 5 }), 1), { fraction, originalMacs });
    const svd = withInitializers(decompose(graph, { basis: 5 }), [...plain.graph.initializers]);
    const [mine, theirs] = [await outputError(graph, result), await outputError(graph, svd)];
    assert.ok(mine < 0.7 * theirs, `${mine} against ${theirs}`);
  });
}

/** Keeps values in memory, as bytes: what is read is never the object that was written. */
class MemoryJournal implements CalibrationJournal {
  readonly entries = new Map<string, Uint8Array>();

  async read<Value>(key: string, schema: ZodType<Value>): Promise<Value | undefined> {
    const bytes = this.entries.get(key);
    return bytes === undefined ? undefined : schema.parse(deserialize(bytes));
  }

  async write(key: string, value: unknown): Promise<void> {
    assert.ok(!this.entries.has(key), `${key} is found out twice`);
    this.entries.set(key, serialize(value));
  }
}

test("stopped at any layer, a calibration goes on from there and ends the same", async () => {
  const graph = simplify(tinyCnn());
  const options = { fraction: 0.6, basis: "auto" } as const;
  const whole = await calibrated(graph, options.fraction);
  const runtime = await runtimeOf(graph);
  const journal = new MemoryJournal();
  try {
    let result: Calibration | undefined;
    while (result === undefined) {
      // Each attempt finishes one layer, and is stopped in the next one.
      const stop = new AbortController();
      const already = journal.entries.size;
      const onProgress = (): void => {
        if (journal.entries.size > already) stop.abort();
      };
      try {
        result = await calibrate(graph, runtime, { ...options, journal, onProgress, signal: stop.signal });
      } catch (error) {
        assert.ok(error instanceof PenniError && error.code === "interrupted", `${error}`);
      }
      assert.ok(journal.entries.size > already || result !== undefined, "an attempt gets somewhere");
    }
    assert.equal(journal.entries.size, 2 * calibrationLayers(graph).length);
    assert.deepEqual(result, whole);
  } finally {
    await runtime.release();
  }
});

test("without anything to remove the network stays what it was", async () => {
  const graph = simplify(tinyCnn());
  const { graph: result, layers } = await calibrated(graph, 1);
  assert.ok((await outputError(graph, result)) < 1e-6);
  assert.deepEqual(new Set(layers.map(({ d }) => d)), new Set([0]));
});

test("a basis that is asked for is used wherever it can be", async () => {
  const graph = simplify(tinyCnn());
  const { graph: result } = await calibrated(graph, 0.7, 3);
  const bases = findDecompositions(result).map(({ d }) => d);
  assert.deepEqual(bases, [3, 3, 3]);
});

test("a target out of reach, and an interruption, are said", async () => {
  const graph = simplify(tinyCnn());
  await assert.rejects(calibrated(graph, 0.01, 5), { code: "bad-option" });
  const runtime = await runtimeOf(graph);
  try {
    const signal = AbortSignal.abort();
    await assert.rejects(calibrate(graph, runtime, { fraction: 0.6, basis: "auto", signal }), {
      code: "interrupted",
    });
  } finally {
    await runtime.release();
  }
});

test("the bar moves inside layers, and never back", async () => {
  const graph = simplify(tinyCnn());
  const runtime = await runtimeOf(graph);
  try {
    const seen: CalibrationProgress[] = [];
    const onProgress = (progress: CalibrationProgress): void => {
      seen.push(progress);
    };
    await calibrate(graph, runtime, { fraction: 0.6, basis: "auto", onProgress });
    assert.ok(seen.every(({ share }, index) => share >= (seen[index - 1]?.share ?? 0)));
    assert.equal(seen[0]?.share, 0);
    assert.ok((seen.at(-1)?.share ?? 0) > 0.9 && (seen.at(-1)?.share ?? 2) <= 1);
    for (const step of ["analyse", "fit"] as const) {
      const own = seen.filter((progress) => progress.step === step);
      const layers = new Set(own.map(({ layer }) => layer));
      // A layer that is kept as it is has its statistics alone.
      assert.ok(own.length >= 2 * layers.size, `${own.length} reports on ${layers.size} layers`);
      assert.ok(new Set(own.map(({ share }) => share)).size >= 2 * layers.size);
    }
    // Known from the first part on.
    assert.deepEqual(
      seen.flatMap(({ secondsLeft }, index) => (secondsLeft === undefined ? [index] : [])),
      [0],
    );
  } finally {
    await runtime.release();
  }
});

test("later layers correct earlier ones: fitted alone each leaves more error", async () => {
  const graph = simplify(tinyCnn());
  const runtime = await runtimeOf(graph);
  try {
    const blind: CalibrationRuntime = {
      outputErrors: (replacements) => runtime.outputErrors(replacements),
      algebra: runtime.algebra,
      roomPerImage: 0,
      images: runtime.images,
      settle: async () => undefined,
      // Every layer is shown what it gets in the original network.
      moments: (_, requests) =>
        runtime.moments(
          graph,
          requests.map(({ conv }) => ({ conv, input: conv.inputs[0] ?? "", target: conv.outputs[0] ?? "" })),
        ),
    };
    const options = { fraction: 0.5, basis: "auto" } as const;
    const together = await calibrate(graph, runtime, options);
    const alone = await calibrate(graph, blind, options);
    const [with_, without] = [
      await outputError(graph, together.graph),
      await outputError(graph, alone.graph),
    ];
    assert.ok(with_ < without, `${with_} against ${without}`);
  } finally {
    await runtime.release();
  }
});
