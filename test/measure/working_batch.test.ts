import assert from "node:assert/strict";
import { test } from "node:test";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { shapedForRuns } from "../../src/measure/runtime_shapes.js";
import { decodeModel } from "../../src/onnx/read.js";
import { declare, floatBytes, modelBytes } from "../onnx/models.js";
import { long, loop, type NodeInit, node, scan } from "./loop_models.js";

const joined = [
  node("Concat", "v n", "both", { attribute: [{ name: "axis", type: 2, i: 1n }] }),
  node("MatMul", "both matrix", "w"),
];
const added = [node("Add", "v n", "w")];

const state = (name: string): NodeInit => node("Identity", name, "state");

/** x [N, 4] is joined with a state in five turns; or in a Scan over three slices. */
function recurrent(nodes: readonly NodeInit[]): Graph {
  const graph = decodeModel(
    modelBytes({
      node: [node("Neg", "x", "n"), ...nodes, node("Relu", "l", "y")],
      input: [declare("x", 1, [1, 4])],
      output: [{ name: "y" }],
      initializer: [
        long("five", 5n),
        { name: "true", dims: [], dataType: 9, int32Data: [1] },
        { name: "one", dims: [1n, 4n], dataType: 1, rawData: floatBytes([1, 2, 3, 4]) },
        {
          name: "matrix",
          dims: [8n, 4n],
          dataType: 1,
          rawData: floatBytes(Array.from({ length: 32 }, (_, at) => Math.sin(at))),
        },
      ],
    }),
  );
  return { ...graph, inputs: [{ name: "x", type: { elementType: "float32", shape: ["N", 4] } }] };
}

const batchOf = ({ inputs }: Graph): unknown => inputs[0]?.type?.shape?.[0];

test("a network whose loop is written for one image states that batch, whatever its input says", async () => {
  const graph = recurrent([state("one"), loop("five", "state", "l", joined)]);
  assert.equal(batchOf(await shapedForRuns(graph)), 1);
});

test("a network whose loop takes any batch keeps it open", async () => {
  for (const nodes of [
    [state("n"), loop("five", "state", "l", joined)],
    [state("one"), loop("five", "state", "l", added)],
    [scan("n", "l")],
  ]) {
    assert.equal(batchOf(await shapedForRuns(recurrent(nodes))), "N");
  }
});

test("what states its batch, or takes none at all, stays as it is", async () => {
  const single = fixBatch(recurrent([state("one"), loop("five", "state", "l", joined)]), 1);
  assert.equal(batchOf(await shapedForRuns(single)), 1);
  const broken = recurrent([state("matrix"), loop("five", "state", "l", joined)]);
  assert.equal(batchOf(await shapedForRuns(broken)), "N");
});
