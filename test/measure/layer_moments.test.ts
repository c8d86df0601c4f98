import assert from "node:assert/strict";
import { test } from "node:test";
import { Tensor as OrtTensor } from "onnxruntime-common";
import { runGraph } from "../../src/execute/node.js";
import { int, ints } from "../../src/graph/attributes.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { convolutions, denseLayer } from "../../src/layers/weights.js";
import { collectMoments, type SampleSize, sampleCount } from "../../src/measure/layer_moments.js";
import { anchored, combined, type LayerMoments, type MomentsRequest } from "../../src/measure/moments.js";
import { OutputProbe } from "../../src/measure/output_probe.js";
import { type ImageBatches, SettledValues } from "../../src/measure/settled_values.js";
import { exactSolver } from "../../src/method/calibrate/solver.js";
import { Cholesky } from "../../src/method/calibrate/symmetric.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { Network } from "../../support/network.js";

const SIZE = 7;
const BATCH = 4;

/** Two batches of random images. */
function imagesOf(seed: number): ImageBatches & { readonly batches: readonly Float32Array<ArrayBuffer>[] } {
  const net = new Network(seed, [4, SIZE, SIZE]);
  const batches = [0, 1].map(() => Float32Array.from(net.uniform(BATCH * 4 * SIZE * SIZE)));
  return { batches, count: 2, size: BATCH, dims: [4, SIZE, SIZE], pixels: () => batches };
}

test("there are as many samples as may be, and never too few for the columns", () => {
  const limits = { most: 1000, elements: 5000, perColumn: 4 };
  assert.equal(sampleCount(limits, 2, 1), 1000);
  assert.equal(sampleCount(limits, 20, 1), 250);
  assert.equal(sampleCount(limits, 20, 2), 125);
  assert.equal(sampleCount(limits, 100, 1), 400);
});

const ALL: SampleSize = { most: Infinity, elements: Infinity, perColumn: 0 };

/** The moments of one convolution of a network. */
function momentsOf(
  graph: Graph,
  request: MomentsRequest,
  images: ImageBatches,
  samples = ALL,
): Promise<readonly (readonly LayerMoments[])[]> {
  const fixed = fixBatch(graph, BATCH);
  const values = new SettledValues(images, 1);
  return collectMoments(fixed, inferGraph(fixed).types, [request], values, 2 * BATCH, samples);
}

const geometries = {
  plain: { kernel: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1], dilations: [1, 1], group: 1 },
  "strided, padded on one side": {
    kernel: [3, 3],
    pads: [0, 1, 1, 0],
    strides: [2, 2],
    dilations: [1, 1],
    group: 1,
  },
  "dilated 1x3": { kernel: [1, 3], pads: [0, 2, 0, 2], strides: [1, 1], dilations: [1, 2], group: 1 },
  grouped: { kernel: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1], dilations: [1, 1], group: 2 },
  "depthwise, strided": { kernel: [5, 5], pads: [2, 2, 2, 2], strides: [2, 1], dilations: [1, 1], group: 4 },
  "1x1, strided": { kernel: [1, 1], pads: [0, 0, 0, 0], strides: [2, 2], dilations: [1, 1], group: 1 },
} as const;

/** One convolution with a bias, and an offset value that its output is compared with. */
function layerGraph(name: keyof typeof geometries): Graph {
  const { kernel, pads, strides, dilations, group } = geometries[name];
  const net = new Network(3, [4, SIZE, SIZE]);
  const weight = net.parameter("weight", [8, 4 / group, ...kernel]);
  const attributes = {
    pads: ints(pads),
    strides: ints(strides),
    dilations: ints(dilations),
    group: int(group),
  };
  return net.graph([net.op("Conv", ["x", weight, net.parameter("bias", [8])], attributes)]);
}

// Whoever has the right moments of a linear layer finds its weight by least squares: columns, order and all.
const cases = (Object.keys(geometries) as (keyof typeof geometries)[]).flatMap((name) => [
  { name, samples: ALL, where: "all positions" },
  // 96 samples of at most 36 columns, 12 positions of each image.
  { name, samples: { most: 96, elements: Infinity, perColumn: 1 }, where: "some positions" },
]);
for (const { name, samples, where } of cases) {
  test(`least squares on the moments of a convolution (${name}, ${where}) give its weight and bias`, async () => {
    const graph = layerGraph(name);
    const [conv] = convolutions(graph);
    assert.ok(conv !== undefined);
    const layer = denseLayer(graph, conv);
    assert.ok(typeof layer !== "string");
    const request = { conv, input: conv.inputs[0] ?? "", target: conv.outputs[0] ?? "" };
    const [groups = []] = await momentsOf(graph, request, imagesOf(1), samples);
    assert.equal(groups.length, layer.groups);
    const weight = float32Data(graph.initializers.get(layer.weight) ?? float32Tensor([0], []));
    const bias = float32Data(graph.initializers.get(conv.inputs[2] ?? "") ?? float32Tensor([0], []));
    const perGroup = weight.length / layer.groups;
    for (const [index, moments] of groups.entries()) {
      const { n, outputs, gram, cross, variance, inputMean, targetMean } = moments;
      const importance = new Float64Array(outputs).fill(1);
      const { coefs: found } = await exactSolver.dense({ columns: n, gram, cross, variance, importance });
      found.forEach((value, at) => {
        assert.ok(Math.abs(value - (weight[index * perGroup + at] ?? Number.NaN)) < 2e-3, `${index} ${at}`);
      });
      for (let k = 0; k < outputs; k++) {
        const linear = inputMean.reduce((sum, mean, i) => sum + mean * (found[k * n + i] ?? 0), 0);
        assert.ok(Math.abs((targetMean[k] ?? 0) - linear - (bias[index * outputs + k] ?? 0)) < 2e-3);
      }
    }
  });
}

test("columns that vary by a thousandth of their mean keep their variance, positive definite", async () => {
  const graph = layerGraph("1x1, strided");
  const [conv] = convolutions(graph);
  assert.ok(conv !== undefined);
  const images = imagesOf(7);
  for (const values of images.batches) {
    values.forEach((value, index) => {
      values[index] = 100 + 0.1 * value;
    });
  }
  const request = { conv, input: conv.inputs[0] ?? "", target: conv.outputs[0] ?? "" };
  const [[moments] = []] = await momentsOf(graph, request, images);
  assert.ok(moments !== undefined);
  // Uniform in [-0.1, 0.1]: a variance of 1/300.
  for (let i = 0; i < moments.n; i++) {
    const variance = moments.gram[i * moments.n + i] ?? 0;
    assert.ok(Math.abs(variance * 300 - 1) < 0.3, `${variance}`);
  }
  Cholesky.of(moments.gram, moments.n);
});

test("where the images say nothing, anchored moments keep the weight", async () => {
  const moments = {
    rows: 1,
    n: 2,
    outputs: 1,
    gram: new Float64Array(4),
    cross: new Float64Array(2),
    variance: Float64Array.of(0),
    inputMean: new Float64Array(2),
    targetMean: new Float64Array(1),
  };
  const { gram, cross, variance } = anchored(moments, [3, -4], 1e-3);
  const importance = Float64Array.of(1);
  const { coefs: found } = await exactSolver.dense({ columns: 2, gram, cross, variance, importance });
  assert.deepEqual(
    [...found].map((value) => Number(value.toFixed(9))),
    [3, -4],
  );
  // The pull itself: 1e-3 * |weight|^2.
  assert.ok(Math.abs((variance[0] ?? 0) - 0.025) < 1e-12);
});

test("moments of a shared weight are averages weighted by samples", () => {
  const part = (rows: number, value: number) => ({
    rows,
    n: 1,
    outputs: 1,
    gram: Float64Array.of(value),
    cross: Float64Array.of(value),
    variance: Float64Array.of(value),
    inputMean: Float64Array.of(value),
    targetMean: Float64Array.of(value),
  });
  const both = combined([part(1, 4), part(3, 8)]);
  assert.deepEqual([both.rows, both.gram[0], both.cross[0], both.variance[0]], [4, 7, 7, 7]);
  assert.throws(() => combined([]), { code: "internal" });
});

test("the error of outputs is relative to their variance, 0 for the same weight", async () => {
  const graph = fixBatch(layerGraph("plain"), BATCH);
  const [conv] = convolutions(graph);
  const weight = conv?.inputs[1] ?? "";
  const tensor = graph.initializers.get(weight);
  assert.ok(tensor !== undefined);
  const probe = await OutputProbe.open(graph, new SettledValues(imagesOf(2), 1), 2);
  const other = float32Tensor(
    tensor.dims,
    float32Data(tensor).map((value) => 0.9 * value),
  );
  const [same, found = Number.NaN] = await probe.errors(
    [tensor, other].map((value) => new Map([[weight, value]])),
  );
  assert.ok((same ?? Number.NaN) < 1e-12);
  const values = async (model: Graph): Promise<number[]> => {
    const all: number[] = [];
    for (const images of imagesOf(2).batches) {
      const feed = new OrtTensor("float32", images, [BATCH, 4, SIZE, SIZE]);
      const feeds = new Map([["x", float32Tensor(feed.dims, feed.data as Float32Array)]]);
      for (const output of (await runGraph(model, feeds)).values()) all.push(...float32Data(output));
    }
    return all;
  };
  const wanted = await values(graph);
  const got = await values({ ...graph, initializers: new Map([...graph.initializers, [weight, other]]) });
  const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
  const variance = wanted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const difference = wanted.reduce((sum, value, index) => sum + (value - (got[index] ?? 0)) ** 2, 0);
  assert.ok(Math.abs(found - difference / variance) < 1e-4 * found, `${found} ${difference / variance}`);
});
