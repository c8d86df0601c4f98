import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../../src/execute/node.js";
import { int } from "../../../src/graph/attributes.js";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import { withRuntimeShapes } from "../../../src/measure/runtime_shapes.js";
import { pairOf } from "../../../src/method/calibrate/targets.js";
import { importForCompression } from "../../../src/method/import_for_compression.js";
import { inferGraph } from "../../../src/ops/infer.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";

test("both networks of a pair keep the shapes of what is behind an operator without a rule", async () => {
  const given = smallGraph(
    ["N", 3, 6, 6],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      node("SplitToSequence", ["c1"], "s", { axis: int(1) }),
      node("ConcatFromSequence", ["s"], "u", { axis: int(1) }),
      conv({ name: "y", input: "u", weight: "w2", kernel: 3 }),
    ],
    { w1: randomTensor([8, 3, 3, 3], 1), w2: randomTensor([5, 8, 3, 3], 2) },
  );
  const network = importForCompression((await withRuntimeShapes(given)).graph);
  const { graph, originalName } = pairOf(network, network);
  const pair = fixBatch(graph, 2);
  const { types } = inferGraph(pair);
  for (const name of ["u", originalName("u")]) assert.deepEqual(types.get(name)?.shape, [2, 8, 6, 6], name);
  const outputs = ["y", originalName("y")].map((name) => ({ name, type: undefined }));
  const found = await runGraph({ ...pair, outputs }, new Map([["x", randomTensor([2, 3, 6, 6], 3)]]));
  assert.deepEqual(found.get(originalName("y")), found.get("y"));
});
