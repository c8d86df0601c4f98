import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { PenniError } from "../../src/graph/errors.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { encodeModel } from "../../src/onnx/write.js";
import { foldNormalization } from "../../src/ops/passes/fold_normalization.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { Network } from "../../support/network.js";
import { randomTensor } from "../../support/small_models.js";
import { tinyCnn } from "../../support/tiny_cnn.js";
import { operatorsRun } from "./fused.js";
import { quantizedValues, quantizeStatically, type ValueRange } from "./quantize.js";

/** Residual blocks with a shortcut of Slice and Pad, as ResNet-20 has it, and a pooling over windows. */
function sliced(): Graph {
  const net = new Network(3, [3, 8, 8]);
  const stem = net.relu(net.conv("x", 4, { pad: 1, bias: true }));
  const inner = net.conv(net.relu(net.conv(stem, 8, { pad: 1, stride: 2, bias: true })), 8, {
    pad: 1,
    bias: true,
  });
  const { b } = net;
  const strided = b.emit("Slice", [stem, b.axes([0, 0]), b.axes([99, 99]), b.axes([2, 3]), b.axes([2, 2])]);
  const wider = b.emit("Pad", [strided, b.axes([0, 2, 0, 0, 0, 2, 0, 0])]);
  const sum = net.relu(net.op("Add", [inner, wider]));
  const pooled = net.op("GlobalAveragePool", [sum]);
  return net.graph([net.gemm(net.op("Flatten", [pooled]), 5)]);
}

const networks: Readonly<Record<string, () => Graph>> = {
  "a residual network": () => tinyCnn(2),
  "a shortcut of Slice and Pad": sliced,
};

const prepared = (graph: Graph): Graph => foldNormalization(simplify(graph));

async function outputs(graph: Graph, image: Tensor): Promise<Map<string, Tensor>> {
  return runGraph(graph, new Map([["x", image]]));
}

/** Ranges that the values have on these images. */
async function rangesOn(graph: Graph, image: Tensor): Promise<Map<string, ValueRange>> {
  const names = quantizedValues(graph).filter((name) => name !== "x");
  const probed = { ...graph, outputs: names.map((name) => ({ name, type: undefined })) };
  const computed = names.length === 0 ? [] : [...(await outputs(probed, image))];
  return new Map(
    [...computed, ["x", image] as const].map(([name, tensor]) => {
      const values = float32Data(tensor);
      return [name, { low: Math.min(0, ...values), high: Math.max(0, ...values) }];
    }),
  );
}

for (const [what, build] of Object.entries(networks)) {
  test(`${what}: values within what rounding does to them, and the runtime computes with integers`, async () => {
    const graph = prepared(build());
    const size = graph.inputs[0]?.type?.shape?.[2];
    const image = randomTensor([4, 3, Number(size), Number(size)], 5);
    const quantized = quantizeStatically(graph, await rangesOn(graph, image));
    verifyGraph(quantized);
    const [[, expected] = []] = await outputs(graph, image);
    const [[, found] = []] = await outputs(quantized, image);
    assert.ok(expected !== undefined && found !== undefined);
    assert.deepEqual(found.dims, expected.dims);
    const [right, rounded] = [float32Data(expected), float32Data(found)];
    const error = Math.hypot(...right.map((value, at) => value - Number(rounded[at]))) / Math.hypot(...right);
    // Eight bits of activations and weights, a few layers deep.
    assert.ok(error > 0 && error < 0.05, `error ${error}`);

    const counts = await operatorsRun(encodeModel(quantized));
    const convolutions = graph.nodes.filter(({ op }) => op === "Conv").length;
    assert.equal(counts.get("QLinearConv"), convolutions);
    assert.equal(counts.get("QLinearAdd"), 1);
    assert.equal(counts.get("QGemm"), 1);
    for (const op of ["Conv", "Relu", "Add", "Gemm"]) assert.equal(counts.get(op), undefined, op);
    assert.equal(counts.get("QuantizeLinear"), 1);
  });
}

test("a weight's scale is its channel's own, and a large bias fits", async () => {
  const net = new Network(1, [1, 4, 4]);
  const { b } = net;
  const weight = b.floats("w", [2, 1, 1, 1], Float32Array.of(1e-6, 100));
  const bias = b.floats("b", [2], Float32Array.of(1000, 1));
  const graph = net.graph([b.emit("Conv", ["x", weight, bias])]);
  const image = randomTensor([1, 1, 4, 4], 2);
  const quantized = quantizeStatically(graph, await rangesOn(graph, image));
  const [[, found] = []] = await outputs(quantized, image);
  assert.ok(found !== undefined);
  const values = float32Data(found);
  float32Data(image).forEach((value, at) => {
    assert.ok(Math.abs(Number(values[at]) - 1000) < 1e-3);
    // Half a step of the image, and of the weight.
    assert.ok(Math.abs(Number(values[16 + at]) - (100 * value + 1)) < 100 * (1 / 255 + 0.5 / 127));
  });
});

test("what has no form of 8 bits is named", () => {
  const net = new Network(1, [1, 4, 4]);
  const graph = net.graph([net.op("Sigmoid", ["x"])]);
  assert.throws(
    () => quantizedValues(graph),
    (error) =>
      error instanceof PenniError && error.code === "unsupported" && error.message.includes("Sigmoid"),
  );
});
