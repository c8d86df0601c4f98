import assert from "node:assert/strict";
import { test } from "node:test";
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { batches, planEvaluation } from "../../src/data/batches.js";
import {
  allocateSplit,
  imagenetPreprocessing,
  openDataset,
  type Split,
  sampleIndices,
} from "../../src/data/index.js";
import { Random } from "../../src/data/random.js";
import { runGraph } from "../../src/execute/node.js";
import { readModel } from "../../src/files/model_files.js";
import { int } from "../../src/graph/attributes.js";
import { withInitializers } from "../../src/graph/edit.js";
import { PenniError } from "../../src/graph/errors.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { evaluate } from "../../src/measure/accuracy.js";
import { decompose } from "../../src/method/decompose.js";
import { type Effect, measureSensitivity } from "../../src/method/sensitivity.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { Network } from "../../support/network.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { node, smallGraph } from "../../support/small_models.js";
import { TINY_SIZE, tinyCnn } from "../../support/tiny_cnn.js";

const preprocessing = { ...imagenetPreprocessing, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };

function randomImages(count: number, size: number, labelled = true): Split {
  const random = new Random(5);
  const split = allocateSplit({ count, channels: 3, height: size, width: size });
  split.pixels.forEach((_, at) => {
    split.pixels[at] = random.below(256);
  });
  split.labels.forEach((_, at) => {
    split.labels[at] = random.below(10);
  });
  return labelled ? split : { ...split, labels: undefined };
}

const everything = (split: Split): Uint32Array =>
  Uint32Array.from({ length: split.count }, (_, index) => index);

/** All outputs for all images, in one batch. */
async function outputsOf(graph: Graph, split: Split): Promise<Map<string, Float32Array>> {
  const plan = planEvaluation(split, everything(split), { batch: split.count, preprocessing });
  const [batch] = batches(plan);
  assert(batch !== undefined);
  const images = float32Tensor([split.count, 3, split.height, split.width], batch.images);
  const results = await runGraph(graph, new Map([[graph.inputs[0]?.name ?? "", images]]), {
    optimization: "disabled",
  });
  return new Map([...results].map(([name, tensor]) => [name, float32Data(tensor)]));
}

function bestClasses(scores: Float32Array, classes: number): number[] {
  return Array.from({ length: scores.length / classes }, (_, row) => {
    const own = [...scores.subarray(row * classes, (row + 1) * classes)];
    return own.indexOf(Math.max(...own));
  });
}

/** Root mean square of the change over the deviation from image to image, straight from the definition. */
function relativeError(before: Float32Array, after: Float32Array, images: number): number {
  const size = before.length / images;
  const rows = Array.from({ length: images }, (_, row) => before.subarray(row * size, (row + 1) * size));
  const variances = Array.from({ length: size }, (_, at) => {
    const values = rows.map((row) => row[at] ?? NaN);
    const mean = values.reduce((sum, value) => sum + value, 0) / images;
    return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / images;
  });
  const variance = variances.reduce((sum, each) => sum + each, 0) / size;
  const change =
    before.reduce((sum, value, at) => sum + (value - (after[at] ?? NaN)) ** 2, 0) / before.length;
  return Math.sqrt(change / variance);
}

/** The best rank-d approximation of a weight [K, C, R, S] by ml-matrix's own SVD. */
function rankApproximation(graph: Graph, weight: string, d: number): Float32Array {
  const tensor = graph.initializers.get(weight);
  assert(tensor !== undefined);
  const [K = 0, C = 0, R = 0, S = 0] = tensor.dims;
  const rows = Matrix.from1DArray(K * C, R * S, [...float32Data(tensor)]);
  const svd = new SingularValueDecomposition(rows);
  const kept = svd.diagonal.map((value, index) => (index < d ? value : 0));
  const product = svd.leftSingularVectors.mmul(Matrix.diag(kept)).mmul(svd.rightSingularVectors.transpose());
  return Float32Array.from(product.to1DArray());
}

/** The weight without its `count` smallest elements. */
function thinned(graph: Graph, weight: string, count: number): Float32Array {
  const tensor = graph.initializers.get(weight);
  assert(tensor !== undefined);
  const values = float32Data(tensor).slice();
  const order = [...values.keys()].sort((a, b) => Math.abs(values[a] ?? 0) - Math.abs(values[b] ?? 0));
  for (const index of order.slice(0, count)) values[index] = 0;
  return values;
}

function withWeight(graph: Graph, weight: string, values: Float32Array): Graph {
  const dims = graph.initializers.get(weight)?.dims ?? [];
  return withInitializers(graph, [[weight, float32Tensor(dims, values)]]);
}

/** The weights that the convolutions of a graph read, in its order. */
const convWeights = (graph: Graph): readonly string[] =>
  graph.nodes.filter(({ op }) => op === "Conv").map(({ inputs }) => inputs[1] ?? "");

/** Tolerance: float32 sums in another order (constant or fed weights take different kernels). */
function assertNear(actual: number | undefined, expected: number, tolerance = 1e-4): void {
  assert(actual !== undefined && Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

test("effects are those of the network with the layer's weight rewritten", async () => {
  const graph = tinyCnn(3);
  const split = randomImages(40, TINY_SIZE);
  const [, second = "", , pointwise = ""] = convWeights(graph);
  const found = await measureSensitivity(graph, split, preprocessing, {
    images: 40,
    basis: 3,
    ranks: [1, 4],
    sparsities: [0.5, 0.8],
    layers: [second, pointwise],
    batch: 16,
    threads: 1,
  });
  const [logits = ""] = found.outputs;
  const before = (await outputsOf(graph, split)).get(logits) ?? new Float32Array();
  const classes = bestClasses(before, 10);
  const share = (same: (row: number) => boolean): number => classes.filter((_, row) => same(row)).length / 40;
  const check = async (effect: Effect | undefined, rewritten: Graph): Promise<void> => {
    const after = (await outputsOf(rewritten, split)).get(logits) ?? new Float32Array();
    const predictions = bestClasses(after, 10);
    const top1 = share((row) => predictions[row] === split.labels?.[row]);
    assert.equal(effect?.top1, top1);
    assertNear(effect?.difference, top1 - (found.original.top1 ?? NaN), 1e-12);
    assert.equal(
      effect?.agreement,
      share((row) => predictions[row] === classes[row]),
    );
    assertNear(effect?.errors[0], relativeError(before, after, 40));
  };
  assert.deepEqual([found.measure, found.images, found.skipped], ["accuracy", 40, []]);
  assert.equal(
    found.original.top1,
    share((row) => classes[row] === split.labels?.[row]),
  );
  const [spatial, flat] = found.layers;
  assert.deepEqual([spatial?.basis, flat?.basis, flat?.ranks], [3, undefined, []]);
  assert.deepEqual(
    spatial?.ranks.map(({ d }) => d),
    [1, 4, 9],
  );
  await check(spatial?.ranks[0], withWeight(graph, second, rankApproximation(graph, second, 1)));
  await check(spatial?.ranks[1], withWeight(graph, second, rankApproximation(graph, second, 4)));
  await check(spatial?.ranks[2], graph);
  // Coefficients of the decomposed network are what sparsity removes; merged they are a weight again.
  const decomposed = decompose(graph, { basis: 3 });
  const coefs = `${second}.coefs`;
  const size = decomposed.initializers.get(coefs)?.dims.reduce((product, dim) => product * dim, 1) ?? 0;
  for (const [index, sparsity] of [0.5, 0.8].entries()) {
    const merged = await mergedWeight(
      withWeight(decomposed, coefs, thinned(decomposed, coefs, Math.round(sparsity * size))),
      second,
    );
    await check(spatial?.sparsities[index], withWeight(graph, second, merged));
    const elements = graph.initializers.get(pointwise)?.dims.reduce((product, dim) => product * dim, 1) ?? 0;
    const rest = thinned(graph, pointwise, Math.round(sparsity * elements));
    await check(flat?.sparsities[index], withWeight(graph, pointwise, rest));
  }
});

/** What ONNX Runtime makes of coefficients and basis of one layer. */
async function mergedWeight(decomposed: Graph, weight: string): Promise<Float32Array> {
  const name = `${weight}.merged`;
  const outputs = [{ name, type: undefined }];
  const nodes = decomposed.nodes.filter(({ op }) => op === "MatMul" || op === "Reshape");
  const results = await runGraph(
    { ...decomposed, inputs: [], outputs, nodes, valueInfo: new Map() },
    new Map(),
  );
  const tensor = results.get(name);
  assert(tensor !== undefined);
  return float32Data(tensor);
}

test("outputs of any shape: an error for each, zero where the layer does not reach", async () => {
  const net = new Network(7, [3, 8, 8]);
  const stem = net.relu(net.conv("x", 6, { pad: 1 }));
  const left = net.conv(stem, 4, { pad: 1 });
  const right = net.conv(stem, 5, { pad: 1, stride: 2 });
  const graph = net.graph([left, right]);
  const split = randomImages(10, 8, false);
  const weights = convWeights(graph);
  const found = await measureSensitivity(graph, split, preprocessing, { images: 10, ranks: [2], batch: 4 });
  assert.deepEqual([found.measure, found.outputs, found.original.top1], ["error", [left, right], undefined]);
  const before = await outputsOf(graph, split);
  for (const [index, layer] of found.layers.entries()) {
    const weight = weights[index] ?? "";
    const after = await outputsOf(withWeight(graph, weight, rankApproximation(graph, weight, 2)), split);
    const [effect] = layer.ranks;
    assert.equal(effect?.agreement, undefined);
    [left, right].forEach((output, at) => {
      const expected = relativeError(
        before.get(output) ?? new Float32Array(),
        after.get(output) ?? new Float32Array(),
        10,
      );
      assertNear(effect?.errors[at], expected);
    });
  }
  assert.equal(found.layers[1]?.ranks[0]?.errors[1], 0);
});

test("a shared weight is one layer; a batch that the model fixes is kept; depthwise layers are named", async () => {
  const net = new Network(8, [3, 8, 8], 17, [4, 3, 8, 8]);
  const stem = net.relu(net.conv("x", 6, { pad: 1 }));
  const first = net.conv(stem, 6, { pad: 1 });
  const shared = net.b.nodes.at(-1)?.inputs[1] ?? "";
  const again = net.op("Conv", [net.relu(first), shared]);
  const graph = net.graph([net.conv(again, 6, { group: 6 })]);
  const split = randomImages(11, 8, false);
  const found = await measureSensitivity(graph, split, preprocessing, {
    images: 11,
    ranks: [3],
    sparsities: [0.5],
  });
  assert.deepEqual([found.images, found.layers.length, found.skipped.length], [8, 2, 1]);
  assert.match(found.skipped[0]?.reason ?? "", /depthwise/);
  const used = { ...randomImages(11, 8, false), count: 8 };
  const [output = ""] = found.outputs;
  const open = (fixed: Graph): Graph => ({
    ...fixed,
    inputs: fixed.inputs.map(({ name }) => ({
      name,
      type: { elementType: "float32", shape: ["N", 3, 8, 8] },
    })),
    outputs: fixed.outputs.map(({ name }) => ({ name, type: undefined })),
    valueInfo: new Map(),
  });
  const before = (await outputsOf(open(graph), used)).get(output) ?? new Float32Array();
  const rewritten = withWeight(graph, shared, rankApproximation(graph, shared, 3));
  const after = (await outputsOf(open(rewritten), used)).get(output) ?? new Float32Array();
  assertNear(found.layers[1]?.ranks[0]?.errors[0], relativeError(before, after, 8));
});

test("a decomposed layer: ranks of its product, sparsity of its own coefficients", async () => {
  const graph = decompose(tinyCnn(4), { basis: 4 });
  const split = randomImages(12, TINY_SIZE);
  const settings = { images: 12, ranks: [2, 4, 6], sparsities: [0.25], labels: false } as const;
  const found = await measureSensitivity(graph, split, preprocessing, settings);
  const [layer] = found.layers;
  assert.deepEqual([found.measure, layer?.basis, layer?.ranks.map(({ d }) => d)], ["error", 4, [2, 4]]);
  const [coefs = ""] = [...graph.initializers.keys()].filter((name) => name.endsWith(".coefs"));
  const count = (graph.initializers.get(coefs)?.dims ?? []).reduce((product, dim) => product * dim, 0.25);
  const [output = ""] = found.outputs;
  const before = (await outputsOf(graph, split)).get(output) ?? new Float32Array();
  const after = (
    await outputsOf(withWeight(graph, coefs, thinned(graph, coefs, Math.round(count))), split)
  ).get(output);
  assertNear(layer?.sparsities[0]?.errors[0], relativeError(before, after ?? new Float32Array(), 12));
});

const skip = withoutShared("models/resnet20.onnx");
test("ResNet-20 with one layer at rank 5 is as accurate as the rewritten model", { skip }, async () => {
  const graph = simplify(await readModel(sharedPath("models/resnet20.onnx")));
  const split = await (await openDataset(`cifar10:${sharedPath("data/cifar10")}`)).test();
  const layers = ["/conv1/Conv", "*layer2.2/conv1*"];
  const settings = { images: 128, seed: 3, ranks: [5], sparsities: [0.9], layers };
  const found = await measureSensitivity(graph, split, imagenetPreprocessing, settings);
  const indices = sampleIndices(everything(split), 128, 3);
  assert.equal(found.original.top1, (await evaluate(graph, split, imagenetPreprocessing, { indices })).top1);
  assert.deepEqual(
    found.layers.map(({ name }) => name),
    ["/conv1/Conv", "/layer2/layer2.2/conv1/Conv"],
  );
  for (const { name, ranks } of found.layers) {
    const weight = graph.nodes.find((each) => each.name === name)?.inputs[1] ?? "";
    const rewritten = withWeight(graph, weight, rankApproximation(graph, weight, 5));
    const { top1 } = await evaluate(rewritten, split, imagenetPreprocessing, { indices });
    // One image of 128 may lie so near a border between classes that rounding decides.
    assertNear(ranks[0]?.top1, top1, 1.5 / 128);
  }
});

const refusals: readonly {
  readonly name: string;
  readonly graph?: Graph;
  readonly settings?: Parameters<typeof measureSensitivity>[3];
  readonly code: string;
  readonly message: RegExp;
}[] = [
  {
    name: "no images",
    settings: { images: 0 },
    code: "bad-option",
    message: /whole numbers from 1, found 0/,
  },
  { name: "a share of 1", settings: { sparsities: [1] }, code: "bad-option", message: /below 1, found 1/ },
  {
    name: "an unknown layer",
    settings: { layers: ["conv*x"] },
    code: "bad-option",
    message: /found "conv\*x"/,
  },
  {
    name: "nothing to change",
    graph: smallGraph(["N", 3, 16, 16], [node("Relu", ["x"], "y")], {}),
    code: "unsupported",
    message: /no convolution/,
  },
  {
    name: "more labels than classes",
    graph: fewClasses(),
    code: "bad-data",
    message: /too few classes.*expected 10 or more, found 2.*--no-labels/,
  },
  {
    name: "an abort",
    settings: { signal: AbortSignal.abort() },
    code: "interrupted",
    message: /stopped/,
  },
];

function fewClasses(): Graph {
  const net = new Network(9, [3, 16, 16]);
  const pooled = net.op("GlobalAveragePool", [net.conv("x", 2)]);
  return net.graph([net.op("Flatten", [pooled], { axis: int(1) })]);
}

for (const { name, graph, settings, code, message } of refusals) {
  test(`refused: ${name}`, async () => {
    const split = randomImages(30, TINY_SIZE);
    await assert.rejects(
      measureSensitivity(graph ?? tinyCnn(), split, preprocessing, settings ?? {}),
      (error) => error instanceof PenniError && error.code === code && message.test(error.message),
    );
  });
}
