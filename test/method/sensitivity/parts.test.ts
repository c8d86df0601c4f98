import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { continuation } from "../../../src/method/sensitivity/continuation.js";
import { rankSteps } from "../../../src/method/sensitivity/layers.js";
import { partition, type Run } from "../../../src/method/sensitivity/partition.js";
import { removeSmallest } from "../../../src/method/sensitivity/variants.js";
import { inferGraph } from "../../../src/ops/inference/infer.js";
import { Network } from "../../../support/network.js";

test("the share of smallest values goes, of equal ones the first", () => {
  const values = Float32Array.of(3, -1, 1, 0, -2, 1);
  assert.deepEqual([...removeSmallest(values, 0)], [3, -1, 1, 0, -2, 1]);
  assert.deepEqual([...removeSmallest(values, 0.5)], [3, 0, 0, 0, -2, 1]);
  assert.deepEqual([...removeSmallest(values, 5 / 6)], [3, 0, 0, 0, 0, 0]);
  assert.deepEqual([...removeSmallest(values, 1)], [0, 0, 0, 0, 0, 0]);
});

test("ranks are below the full one", () => {
  assert.deepEqual(rankSteps(1), []);
  assert.deepEqual(rankSteps(9), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(rankSteps(25), [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 18]);
});

/** Every way to divide what is left into at most `most` runs. */
function* divisions(first: number, count: number, most: number): Generator<readonly Run[]> {
  if (first === count) yield [];
  if (first === count || most === 0) return;
  for (let end = first + 1; end <= count; end++) {
    for (const rest of divisions(end, count, most - 1)) yield [{ first, end }, ...rest];
  }
}

test("a partition is the cheapest of all that there are", () => {
  const cost = ({ first, end }: Run): number => ((first * 31 + end * 17) % 23) + 3 * (end - first);
  const total = (runs: readonly Run[]): number => runs.reduce((sum, run) => sum + cost(run), 0);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 5 }), (count, most) => {
      const found = partition(count, most, cost);
      assert.deepEqual(
        found.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, at) => first + at)),
        Array.from({ length: count }, (_, at) => at),
      );
      assert(found.length <= most);
      assert.equal(total(found), Math.min(...[...divisions(0, count, most)].map(total)));
    }),
    { seed: 1, numRuns: 60 },
  );
});

test("a continuation takes in what its weights do not reach, and runs nothing else", () => {
  const net = new Network(1);
  const stem = net.relu(net.conv("x", 4, { pad: 1 }));
  const side = net.relu(net.conv(stem, 4, { pad: 1 }));
  const sum = net.op("Add", [net.conv(stem, 4, { pad: 1 }), side]);
  const weight = net.b.nodes.at(-2)?.inputs[1] ?? "";
  const graph = net.graph([sum, side]);
  const { types } = inferGraph(graph);
  const found = continuation(graph, types, [{ weight, dims: [4, 4, 3, 3] }]);
  assert.deepEqual(new Set(found.entries), new Set([stem, side]));
  assert.deepEqual(
    found.graph.nodes.map(({ op }) => op),
    ["Conv", "Add"],
  );
  assert.deepEqual(
    found.graph.inputs.map(({ name }) => name),
    [...found.entries, weight],
  );
  assert.deepEqual(
    found.graph.outputs.map(({ name }) => name),
    [sum],
  );
  assert.equal(found.graph.initializers.has(weight), false);
});

test("where the type of a value on the border is unknown the whole network runs", () => {
  const net = new Network(1);
  const stem = net.relu(net.conv("x", 4, { pad: 1 }));
  const graph = net.graph([net.conv(stem, 4, { pad: 1 })]);
  const weight = graph.nodes.at(-1)?.inputs[1] ?? "";
  const types = new Map(inferGraph(graph).types);
  types.delete(stem);
  const found = continuation(graph, types, [{ weight, dims: [4, 4, 3, 3] }]);
  assert.deepEqual([found.entries, found.graph.nodes.length], [["x"], 3]);
});
