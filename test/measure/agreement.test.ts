import assert from "node:assert/strict";
import { test } from "node:test";
import { allIndices, openDataset } from "../../src/data/index.js";
import { imagenetPreprocessing } from "../../src/data/preprocessing.js";
import { withInitializers } from "../../src/graph/edit.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { largestDifference } from "../../src/measure/agreement.js";
import { tinyCnn } from "../support/tiny_cnn.js";

const split = await (await openDataset("synthetic:50", { imageSize: { width: 16, height: 16 } })).train();
const network = tinyCnn();

/** The network with `change` added to one class's score. */
function withOffset(change: number): Graph {
  const bias = network.nodes.at(-1)?.inputs[2] ?? "";
  const tensor = network.initializers.get(bias);
  assert.ok(tensor);
  const moved = float32Data(tensor).map((value, k) => (k === 3 ? value + change : value));
  return withInitializers(network, [[bias, float32Tensor(tensor.dims, moved)]]);
}

const compare = (other: Graph) =>
  largestDifference(network, other, split, imagenetPreprocessing, allIndices(split));

test("a network agrees with itself, over an incomplete last batch too", async () => {
  const { magnitude, ...rest } = await compare(network);
  assert.deepEqual(rest, { difference: 0, samePredictions: 50, images: 50 });
  assert.ok(magnitude > 0);
});

test("the largest difference of the outputs and the changed predictions are found (1e-5)", async () => {
  const { difference, samePredictions } = await compare(withOffset(100));
  assert.ok(Math.abs(difference - 100) < 1e-4, `difference ${difference}`);
  assert.ok(samePredictions < 50);
});

test("an output that is not a number is never agreement", async () => {
  assert.ok(Number.isNaN((await compare(withOffset(Number.NaN))).difference));
});
