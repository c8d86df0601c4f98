import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { withInitializers } from "../../src/graph/edit.js";
import { PenniError } from "../../src/graph/errors.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { decompose } from "../../src/method/decompose.js";
import {
  nonZeroLimits,
  prunableInitializers,
  pruneCoefficients,
  pruneToMacs,
} from "../../src/method/prune.js";
import { conv, smallGraph, smallNetwork } from "../../support/small_models.js";

const decomposed = (): Graph => decompose(smallNetwork(1), { basis: 3 });

const values = (graph: Graph, name: string): number[] => {
  const tensor = graph.initializers.get(name);
  assert(tensor !== undefined);
  return [...float32Data(tensor)];
};

test("one standard deviation, about the mean, of the population decides", () => {
  // Mean 1, deviations -1, -1, -1, 3: the population standard deviation is sqrt(3) = 1.732.
  const graph = smallGraph([1, 4, 2, 2], [conv({ name: "y", input: "x", weight: "w", kernel: 1 })], {
    w: float32Tensor([1, 4, 1, 1], [1.73, -1.74, 0, 4.01]),
  });
  const { graph: pruned, masks, layers } = pruneCoefficients(graph, { factor: 1 });
  const [layer] = layers;
  assert(layer !== undefined);
  const mean = (1.73 - 1.74 + 4.01) / 4;
  const deviation = Math.sqrt(
    [1.73, -1.74, 0, 4.01].reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4,
  );
  assert(Math.abs(layer.deviation - deviation) < 1e-6);
  assert.equal(layer.nonZeros, 1);
  assert.deepEqual(values(pruned, "w"), [0, 0, 0, Math.fround(4.01)]);
  assert.deepEqual([...float32Data(masks.get("w") ?? float32Tensor([0], []))], [0, 0, 0, 1]);
});

test("coefficients and 1x1 weights are pruned; bases, depthwise and fully connected weights are not", () => {
  assert.deepEqual(prunableInitializers(decomposed()), ["w1.coefs", "w2"]);
  const { graph, masks } = pruneCoefficients(decomposed(), { factor: 0.7 });
  assert.deepEqual([...masks.keys()], ["w1.coefs", "w2"]);
  for (const name of ["w1.basis", "w3", "wfc"]) {
    assert.deepEqual(values(graph, name), values(decomposed(), name));
  }
});

test("zeros stay masked even with factor 0, and nothing else is", () => {
  const [coefs] = prunableInitializers(decomposed());
  assert(coefs !== undefined);
  const some = values(decomposed(), coefs).map((value, index) => (index % 3 === 0 ? 0 : value));
  const graph = withInitializers(decomposed(), [[coefs, float32Tensor([4, 2, 3], some)]]);
  const { masks, graph: pruned } = pruneCoefficients(graph, { factor: 0 });
  const mask = [...float32Data(masks.get(coefs) ?? float32Tensor([0], []))];
  assert.deepEqual(
    mask,
    some.map((value) => (value === 0 ? 0 : 1)),
  );
  assert.deepEqual(values(pruned, coefs), values(graph, coefs));
});

test("a scale of 0 spares a layer", () => {
  const { graph } = pruneCoefficients(decomposed(), { factor: 1, scales: new Map([["w2", 0]]) });
  assert.deepEqual(values(graph, "w2"), values(decomposed(), "w2"));
});

test("the MACs target is met, and with one coefficient more it would not be", () => {
  const graph = decomposed();
  const original = countGraph(smallNetwork(1)).executedMacs;
  const most = countGraph(graph).paperMacs / original;
  const least = countGraph(pruneCoefficients(graph, { factor: 1e6 }).graph).paperMacs / original;
  fc.assert(
    fc.property(fc.double({ min: least, max: Math.min(1, most), noNaN: true }), (fraction) => {
      const { graph: pruned, factor } = pruneToMacs(graph, { fraction });
      assert(countGraph(pruned).paperMacs <= fraction * original);
      const less = pruneCoefficients(graph, { factor: factor * (1 - 1e-9) }).graph;
      assert(factor === 0 || countGraph(less).paperMacs > fraction * original);
    }),
    { numRuns: 30 },
  );
});

test("an unreachable target says what is reachable", () => {
  assert.throws(
    () => pruneToMacs(decomposed(), { fraction: 0.01 }),
    (error) =>
      error instanceof PenniError && error.code === "bad-option" && /at least 0\.\d+/.test(error.message),
  );
});

for (const fraction of [0, -1, 1.5, Number.NaN]) {
  test(`a target of ${fraction} is refused`, () => {
    assert.throws(() => pruneToMacs(decomposed(), { fraction }), PenniError);
  });
}

test("a negative factor is refused", () => {
  assert.throws(() => pruneCoefficients(decomposed(), { factor: -1 }), PenniError);
});

/** A 3x3 layer of which only so many weights are not zero, all of different size. */
function sparseNetwork(nonZeros: number): Graph {
  const weight = Float32Array.from({ length: 16 * 8 * 9 }, (_, index) =>
    index % 7 === 0 && index < 7 * nonZeros ? 1 + index / 1000 : 0,
  );
  return smallGraph([1, 8, 4, 4], [conv({ name: "y", input: "x", weight: "w", kernel: 3 })], {
    w: float32Tensor([16, 8, 3, 3], weight),
  });
}

test("the fraction is of what a sparse network has, not of its dense kernels", () => {
  const graph = sparseNetwork(100);
  const { paperMacs } = countGraph(graph);
  assert.equal(paperMacs, 16 * 100);
  assert.equal(countGraph(pruneToMacs(graph, { fraction: 0.5 }).graph).paperMacs, 16 * 50);
});

test("a sparse layer has no basis where that costs more than its weights", () => {
  const [sparse, dense] = [sparseNetwork(100), sparseNetwork(16 * 8 * 9)];
  assert.equal(countGraph(decompose(sparse, { basis: 2 })).paperMacs, countGraph(sparse).paperMacs);
  assert.deepEqual(prunableInitializers(decompose(sparse, { basis: 2 })), ["w"]);
  const full = float32Tensor(
    [16, 8, 3, 3],
    Float32Array.from({ length: 16 * 8 * 9 }, (_, at) => Math.sin(at)),
  );
  assert.deepEqual(prunableInitializers(decompose(withInitializers(dense, [["w", full]]), { basis: 2 })), [
    "w.coefs",
  ]);
});

test("no layer keeps more than its limit, whatever the threshold; the largest stay, and spared layers are spared", () => {
  const grown = sparseNetwork(120);
  const limits = nonZeroLimits(sparseNetwork(100), grown);
  assert.deepEqual([...limits], [["w", 100]]);
  const { graph } = pruneCoefficients(grown, { factor: 0, limits });
  const kept = values(graph, "w").filter((value) => value !== 0);
  const all = values(grown, "w").filter((value) => value !== 0);
  assert.deepEqual(
    kept,
    all
      .toSorted((a, b) => b - a)
      .slice(0, 100)
      .toSorted((a, b) => a - b),
  );
  const spared = pruneCoefficients(grown, { factor: 0, limits, scales: new Map([["w", 0]]) });
  assert.equal(countGraph(spared.graph).paperMacs, 16 * 120);
});

test("a limit counts what a basis costs", () => {
  const original = smallNetwork(1);
  const graph = decompose(original, { basis: 3 });
  const { graph: pruned } = pruneCoefficients(graph, { factor: 0, limits: nonZeroLimits(original, graph) });
  const macs = (each: Graph): Map<string | undefined, number> =>
    new Map(countGraph(each).layers.map(({ node, paperMacs }) => [node.outputs[0], paperMacs]));
  const before = macs(original);
  for (const [output, after] of macs(pruned)) assert.ok(after <= (before.get(output) ?? 0), `${output}`);
});
