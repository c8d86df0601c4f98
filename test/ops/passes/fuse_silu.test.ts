import assert from "node:assert/strict";
import { test } from "node:test";
import type { Graph } from "../../../src/graph/types.js";
import { mul } from "../../../src/ops/core/emit.js";
import { TypedBuilder } from "../../../src/ops/inference/builder.js";
import { fuseSilu } from "../../../src/ops/passes/fuse_silu.js";

function graphOf(make: (b: TypedBuilder) => readonly string[]): Graph {
  const b = new TypedBuilder(17);
  const type = { elementType: "float32", shape: [2, 3] } as const;
  for (const name of ["x", "other"]) b.declare(name, type);
  const outputs = make(b).map((name) => ({ name, type }));
  return {
    name: "made",
    opsets: new Map([["", 17]]),
    inputs: ["x", "other"].map((name) => ({ name, type })),
    outputs,
    nodes: b.nodes,
    initializers: b.initializers,
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

const opsOf = (graph: Graph): readonly string[] => fuseSilu(graph).nodes.map(({ op }) => op);

test("x times its sigmoid is one Silu, in either order", () => {
  assert.deepEqual(opsOf(graphOf((b) => [mul(b, "x", b.emit("Sigmoid", ["x"]))])), ["Silu"]);
  assert.deepEqual(opsOf(graphOf((b) => [mul(b, b.emit("Sigmoid", ["x"]), "x")])), ["Silu"]);
});

test("a gate of something else, or one with another reader, stays as it is", () => {
  const gate = graphOf((b) => [mul(b, "other", b.emit("Sigmoid", ["x"]))]);
  assert.equal(fuseSilu(gate), gate);
  const shared = graphOf((b) => {
    const sigmoid = b.emit("Sigmoid", ["x"]);
    return [mul(b, "x", sigmoid), mul(b, "other", sigmoid)];
  });
  assert.equal(fuseSilu(shared), shared);
  const output = graphOf((b) => {
    const sigmoid = b.emit("Sigmoid", ["x"]);
    return [mul(b, "x", sigmoid), sigmoid];
  });
  assert.equal(fuseSilu(output), output);
});
