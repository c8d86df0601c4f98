import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { int } from "../../src/graph/attributes.js";
import { float32Data, int64Data } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { buildEvaluation, PREDICTED } from "../../src/train/evaluation.js";
import { node, randomTensor, smallNetwork } from "../../support/small_models.js";

const BATCH = 4;
const x = randomTensor([BATCH, 2, 8, 8], 20);

/** Indices of the largest of five scores, row by row. */
async function bestClasses(network: Graph): Promise<number[]> {
  const scores = (await runGraph(network, new Map([["x", x]]))).get("y");
  assert.ok(scores);
  const data = float32Data(scores);
  return Array.from({ length: BATCH }, (_, row) => {
    const own = data.subarray(5 * row, 5 * (row + 1));
    return own.indexOf(Math.max(...own));
  });
}

function tensorsOf(network: Graph, names: Iterable<string>): Map<string, Tensor> {
  return new Map([...names].map((name) => [name, network.initializers.get(name) ?? randomTensor([0], 0)]));
}

const state = new Set(["w1", "gamma", "beta", "mean", "variance", "wfc", "penni/velocity/w1"]);

test("an evaluation graph predicts what the network does, with its state fed", async () => {
  const network = smallNetwork(BATCH);
  const evaluation = buildEvaluation(network, state);
  verifyTypes(evaluation);
  const [image, ...fed] = evaluation.inputs.map(({ name }) => name);
  assert.equal(image, "x");
  assert.deepEqual(fed, ["w1", "gamma", "beta", "mean", "variance", "wfc"]);
  const feeds = tensorsOf(network, fed).set("x", x);
  const predicted = (await runGraph(evaluation, feeds)).get(PREDICTED);
  assert.ok(predicted);
  assert.deepEqual([...int64Data(predicted)].map(Number), await bestClasses(network));

  const moved = randomTensor([5, 48], 21);
  const changed = (await runGraph(evaluation, feeds.set("wfc", moved))).get(PREDICTED);
  assert.ok(changed);
  const other = { ...network, initializers: new Map(network.initializers).set("wfc", moved) };
  assert.deepEqual([...int64Data(changed)].map(Number), await bestClasses(other));
});

test("a network that ends in a softmax predicts the same", async () => {
  const network = smallNetwork(BATCH);
  const renamed = network.nodes.map((each) => ({
    ...each,
    outputs: each.outputs.map((name) => (name === "y" ? "logits" : name)),
  }));
  const nodes = [...renamed, node("Softmax", ["logits"], "y", { axis: int(1) })];
  const predicted = await runGraph(buildEvaluation({ ...network, nodes }, new Set()), new Map([["x", x]]));
  const classes = predicted.get(PREDICTED);
  assert.ok(classes);
  assert.deepEqual([...int64Data(classes)].map(Number), await bestClasses(network));
});
