import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { withInitializers } from "../../src/graph/edit.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { countGraph } from "../../src/measure/count.js";
import { decompose } from "../../src/method/decompose.js";
import { pruneToMacs } from "../../src/method/prune.js";
import { ownCoefficients } from "../../src/method/prune_kernels.js";
import { shrink } from "../../src/method/shrink.js";
import { smallNetwork } from "../../support/small_models.js";

const COEFS = "w1.coefs";

const decomposed = (): Graph => decompose(smallNetwork(1), { basis: 3 });

const coefficients = (graph: Graph): readonly number[] => {
  const tensor = graph.initializers.get(COEFS);
  assert(tensor !== undefined);
  return [...float32Data(tensor)];
};

/** Kernels with a coefficient that is not zero. */
const kernels = (graph: Graph): number =>
  new Set(coefficients(graph).flatMap((value, at) => (value === 0 ? [] : [at % 3]))).size;

test("a fraction that bases alone exceed is reached by cutting kernels, and counted as shrinking leaves it", () => {
  const graph = decomposed();
  const originalMacs = countGraph(graph).paperMacs;
  assert.throws(() => pruneToMacs(graph, { fraction: 0.2, originalMacs }), /cannot be reached/);
  const cuttable = ownCoefficients(graph);
  const pruned = pruneToMacs(graph, { fraction: 0.3, originalMacs, cuttable }).graph;
  assert.ok(kernels(pruned) < 3, `${kernels(pruned)}`);
  const shrunk = shrink(pruned, {});
  assert.ok(countGraph(shrunk).paperMacs <= 0.3 * originalMacs);
  const [layer] = findDecompositions(shrunk);
  assert.equal(layer?.d, kernels(pruned));
});

test("a kernel that is worth its products stays, one that is not goes with all its coefficients", () => {
  const graph = decomposed();
  // [K, C, d]: two kernels with coefficients of 1, the third with two of one half: 18 products for a square of 0.5.
  const values = coefficients(graph).map((_, at) => (at % 3 < 2 ? 1 : at < 6 ? 0.5 : 0));
  const weak = withInitializers(graph, [[COEFS, float32Tensor([4, 2, 3], values)]]);
  const originalMacs = countGraph(weak).paperMacs;
  const cuttable = ownCoefficients(weak);
  const scales = new Map([["w2", 0]]);
  const slightly = pruneToMacs(weak, { fraction: 0.97, originalMacs, cuttable, scales }).graph;
  const expected = values.map((value) => (value === 1 ? 1 : 0));
  assert.deepEqual(coefficients(slightly), expected);
  const whole = pruneToMacs(weak, { fraction: 1, originalMacs, cuttable }).graph;
  assert.deepEqual(coefficients(whole), values.map(Math.fround));
});

test("less is never more, for any coefficients", () => {
  const value = fc.oneof(fc.constant(0), fc.float({ min: -4, max: 4, noNaN: true, noDefaultInfinity: true }));
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 24, maxLength: 24 }),
      fc.double({ min: 0.5, max: 1, noNaN: true }),
      (values, fraction) => {
        const graph = withInitializers(decomposed(), [[COEFS, float32Tensor([4, 2, 3], values)]]);
        const cuttable = ownCoefficients(graph);
        const originalMacs = countGraph(decomposed()).paperMacs;
        const once = pruneToMacs(graph, { fraction, originalMacs, cuttable }).graph;
        assert.ok(countGraph(shrink(once, {})).paperMacs <= fraction * originalMacs);
        const more = pruneToMacs(graph, { fraction: fraction * 0.9, originalMacs, cuttable }).graph;
        assert.ok(kernels(more) <= Math.max(1, kernels(once)));
      },
    ),
    { seed: 15, numRuns: 200 },
  );
});
