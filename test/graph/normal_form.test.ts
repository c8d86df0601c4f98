import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { nameNodes, normalForm } from "../../src/graph/passes/normal_form.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { graphOf, nodeOf } from "../../support/random_graph.js";

/** x, negated once for each name, every node with the name given. */
function chain(names: readonly string[]): Graph {
  return graphOf({
    inputs: [{ name: "x", type: { elementType: "float32", shape: [2] } }],
    outputs: [{ name: `v${names.length}`, type: undefined }],
    nodes: names.map((name, at) => ({
      ...nodeOf("Neg", [at === 0 ? "x" : `v${at}`], [`v${at + 1}`]),
      name,
    })),
  });
}

const namesOf = (graph: Graph): readonly string[] => graph.nodes.map(({ name }) => name);

test("names that are there and unique stay, and so does the graph", () => {
  const graph = chain(["a", "b", "v1"]);
  assert.equal(normalForm(graph), graph);
});

test("nodes without a name get one of their own that is no value's and no other node's", () => {
  const graph = chain(["", "v3/Neg", "", "v1/Neg", ""]);
  const named = nameNodes(graph);
  assert.deepEqual(namesOf(named), ["v1/Neg_2", "v3/Neg", "v3/Neg_2", "v1/Neg", "v5/Neg"]);
  assert.deepEqual(nameNodes(graph), named, "the same again");
  assert.equal(nameNodes(named), named);
});

test("of nodes with one name the first keeps it", () => {
  const named = nameNodes(chain(["n", "n", "n_2", "n", "n_2"]));
  assert.deepEqual(namesOf(named), ["n", "n_3", "n_2", "n_4", "n_2_2"]);
});

test("a name that is given is no value's", () => {
  const graph = chain(["", ""]);
  const first = graph.nodes[0];
  assert.ok(first !== undefined);
  const taken = { ...graph, inputs: [...graph.inputs, { name: "v1/Neg", type: undefined }] };
  assert.deepEqual(namesOf(nameNodes(taken)), ["v1/Neg_2", "v2/Neg"]);
});

test("what a file leaves unnamed or names twice is loaded by ONNX Runtime", async () => {
  const x = float32Tensor([2], [1, -2]);
  for (const names of [
    ["", ""],
    ["n", "n", "n"],
  ]) {
    const graph = decodeModel(encodeModel(chain(names)));
    assert.equal(new Set(namesOf(graph)).size, names.length);
    // Names that begin alike, as a run gives to the original's copy.
    const prefixed = {
      ...graph,
      nodes: graph.nodes.map((node) => ({ ...node, name: `original/${node.name}` })),
    };
    const y = (await runGraph(prefixed, new Map([["x", x]]))).get(`v${names.length}`);
    assert.ok(y !== undefined);
    const sign = (-1) ** names.length;
    assert.deepEqual([...float32Data(y)], [sign, -2 * sign]);
  }
});

test("an output listed twice is one output, as ONNX Runtime gives it", async () => {
  const graph = chain(["a", "b"]);
  const bytes = encodeModel({ ...graph, outputs: [...graph.outputs, ...graph.outputs] });
  const x = new Map([["x", float32Tensor([2], [3, 4])]]);
  const expected = await runGraph(bytes, x);
  assert.deepEqual(await runGraph(importModel(decodeModel(bytes)), x), expected);
});
