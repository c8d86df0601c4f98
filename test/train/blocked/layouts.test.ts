import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../../src/execute/node.js";
import { float32Data } from "../../../src/graph/tensor.js";
import { verifyGraph } from "../../../src/graph/verify.js";
import { Layouts } from "../../../src/train/blocked/layouts.js";
import { runtimeOpsets } from "../../../src/train/blocked/runtime_operators.js";
import { builderOver, graphFrom, randomIn } from "../support.js";
import { block, skip } from "./support.js";

test("whoever reads a shifted value gets its mean subtracted, in either layout (1e-6)", {
  skip,
}, async () => {
  const dims = [2, 5, 3, 4];
  const feeds = new Map([
    ["x", randomIn(dims, 1)],
    ["mean", randomIn([5], 2)],
  ]);
  const b = builderOver(feeds, 13);
  const type = { elementType: "float32", shape: dims } as const;
  const types = new Map([...b.types, ["centered", type] as const]);
  const layouts = new Layouts(b, block ?? 8, { types, values: new Map() }, new Map());
  const value = layouts.blocked("x");
  layouts.setShifted("centered", { value, mean: "mean" });
  assert.deepEqual(layouts.shifted("centered"), { value, mean: "mean" });
  assert.ok(layouts.isBlocked("centered"));
  assert.notEqual(layouts.blocked("centered"), value);
  assert.equal(layouts.blocked("centered"), layouts.blocked("centered"));
  const plain = layouts.plain("centered");
  const graph = graphFrom(b, feeds, [plain]);
  verifyGraph(graph);
  const results = await runGraph({ ...graph, opsets: new Map([...graph.opsets, ...runtimeOpsets]) }, feeds);
  const [x, mean, found] = [feeds.get("x"), feeds.get("mean"), results.get(plain)].map((tensor) => {
    assert.ok(tensor);
    return float32Data(tensor);
  });
  assert.ok(x && mean && found);
  assert.equal(found.length, x.length);
  found.forEach((each, index) => {
    const expected = (x[index] ?? NaN) - (mean[Math.floor(index / 12) % 5] ?? NaN);
    assert.ok(Math.abs(each - expected) < 1e-6, `${index}: ${each}, expected ${expected}`);
  });
});
