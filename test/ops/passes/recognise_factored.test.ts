import assert from "node:assert/strict";
import { test } from "node:test";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../../src/graph/types.js";
import { findDecompositions } from "../../../src/layers/weights.js";
import { countGraph } from "../../../src/measure/count.js";
import { decompose } from "../../../src/method/decompose.js";
import { exportModel } from "../../../src/method/export.js";
import { importForCompression } from "../../../src/method/import_for_compression.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { encodeModel } from "../../../src/onnx/write.js";
import { recogniseFactored } from "../../../src/ops/passes/recognise_factored.js";
import { assertSameOutputs, Network } from "../../../support/network.js";

/** Strides, padding, groups and biases; and the feeds to run it on. */
function network(): { readonly net: Network; readonly graph: Graph } {
  const net = new Network(9, [8, 9, 9]);
  const first = net.relu(net.conv("x", 12, { pad: 1, stride: 2, bias: true }));
  const second = net.relu(net.conv(first, 8, { pad: 1, group: 2 }));
  return { net, graph: net.graph([net.conv(second, 10, { kernel: 3 })]) };
}

/** As a file that was written with all layers factored is read again. */
async function factoredFile(graph: Graph): Promise<Graph> {
  const faster = { measure: async (layers: readonly Graph[]) => layers.map((_, index) => 2 - index) };
  const { graph: written, layers } = await exportModel(graph, faster);
  assert.ok(layers.length > 0 && layers.every(({ form }) => form === "factored"));
  return decodeModel(encodeModel(written, { sparse: true }), { file: "factored.onnx" });
}

test("layers that were written factored have their one basis again, and compute the same (1e-5 + 1e-3 of the value)", async () => {
  const { net, graph } = network();
  const decomposed = decompose(importForCompression(graph), { basis: 2 });
  const file = await factoredFile(decomposed);
  const recognised = importForCompression(file);
  assert.deepEqual(
    findDecompositions(recognised).map(({ K, C, d, groups }) => [K, C, d, groups]),
    findDecompositions(decomposed).map(({ K, C, d, groups }) => [K, C, d, groups]),
  );
  await assertSameOutputs(file, recognised, net.feeds(), 1e-5);
  const [before, after] = [decomposed, recognised].map((each) => countGraph(fixBatch(each, 1)));
  assert.equal(after?.paperMacs, before?.paperMacs);
  assert.equal(after?.parameters, before?.parameters);
});

test("a depthwise convolution with kernels of its own for each channel is none", () => {
  const net = new Network(4, [4, 6, 6]);
  const graph = net.graph([net.conv(net.conv("x", 8, { pad: 1, group: 4 }), 6, { kernel: 1 })]);
  assert.equal(recogniseFactored(graph), graph);
});
