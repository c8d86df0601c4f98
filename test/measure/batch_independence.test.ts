import assert from "node:assert/strict";
import { test } from "node:test";
import { allIndices } from "../../src/data/batches.js";
import { openDataset } from "../../src/data/open.js";
import { imagenetPreprocessing } from "../../src/data/preprocessing.js";
import { int, ints } from "../../src/graph/attributes.js";
import type { Graph } from "../../src/graph/types.js";
import { batchObstacle, batchProblem } from "../../src/measure/batch_independence.js";
import { importForCompression } from "../../src/method/import_for_compression.js";
import { Network } from "../../support/network.js";

const SIZE = 6;
const dataset = await openDataset("synthetic:20", { imageSize: { width: SIZE, height: SIZE } });
const split = await dataset.train();
const images = { split, indices: allIndices(split), preprocessing: imagenetPreprocessing, threads: 1 };

function network(batch: number | string, build: (net: Network, x: string) => string): Graph {
  const net = new Network(3, [3, SIZE, SIZE], 17, [batch, 3, SIZE, SIZE]);
  return importForCompression(net.graph([build(net, net.relu(net.conv("x", 4, { pad: 1, bias: true })))]));
}

const shape = (net: Network, dims: readonly number[]): string => net.b.axes([...dims]);

/** Channels as images of one channel, a convolution on each, and back: by numbers that hold for one image only. */
const folded = (net: Network, x: string): string => {
  const apart = net.op("Reshape", [x, shape(net, [4, 1, SIZE, SIZE])]);
  const each = net.conv(apart, 1, { pad: 1 });
  return net.conv(net.op("Reshape", [each, shape(net, [1, 4, SIZE, SIZE])]), 5, { kernel: 1 });
};

test("channels folded into the batch and back: the node that cannot be is named", async () => {
  const graph = network(1, folded);
  const [known, tried] = [batchObstacle(graph), await batchProblem(graph, images)];
  assert.match(known?.details.op ?? "", /^(Reshape|Conv)$/);
  assert.ok((known?.details.node ?? "") !== "");
  assert.equal(tried?.message, known?.message);
});

test("images that see each other, though all shapes agree", async () => {
  const graph = network(1, (net, x) => {
    const largest = net.op("ReduceMax", [x], { axes: ints([0]), keepdims: int(1) });
    return net.op("Sub", [x, largest]);
  });
  assert.equal(batchObstacle(graph), undefined);
  assert.match((await batchProblem(graph, images))?.message ?? "", /not that of each alone/);
});

test("a batch that is stated without need is none", async () => {
  const graph = network(1, (net, x) => net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [x])]), 5));
  assert.equal(await batchProblem(graph, images), undefined);
  const reshaped = network(1, (net, x) => net.op("Reshape", [x, shape(net, [1, -1])]));
  assert.equal(await batchProblem(reshaped, images), undefined);
});

test("a network with an open batch is taken at its word", async () => {
  const graph = network("N", (net, x) => net.conv(x, 4, { pad: 1 }));
  assert.equal(await batchProblem(graph, images), undefined);
});
