import assert from "node:assert/strict";
import { test } from "node:test";
import { scalarTensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { counts, fileCounts } from "../../src/run/outcome.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";

/** Conv, then a second one, either as it is or in the branch that is taken where a constant is no NaN. */
function network(isBranch: boolean): Graph {
  const last = conv({ name: "y", input: "c1", weight: "w2", kernel: 3 });
  const graph = smallGraph(
    [1, 3, 6, 6],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      ...(isBranch ? [node("IsNaN", ["k"], "no")] : [last]),
    ],
    { w1: randomTensor([8, 3, 3, 3], 1), w2: randomTensor([5, 8, 3, 3], 2), k: scalarTensor(1) },
  );
  if (!isBranch) return graph;
  const outputs = ["t"];
  const branchOf = (nodes: Graph["nodes"]) =>
    ({
      kind: "opaque",
      value: undefined,
      captures: ["c1", "w2"],
      inner: nodes,
      branch: { nodes, initializers: new Map(), valueInfo: [], outputs },
    }) as const;
  const choice = {
    ...node("If", ["no"], "y"),
    attributes: new Map([
      ["then_branch", branchOf([node("Neg", ["c1"], "t")])],
      ["else_branch", branchOf([{ ...last, outputs }])],
    ]),
  };
  return { ...graph, nodes: [...graph.nodes, choice] };
}

test("what hangs on a condition that constants decide is counted of the original too", () => {
  assert.deepEqual(fileCounts(network(true)), counts(network(false)));
});
