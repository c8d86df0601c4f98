import assert from "node:assert/strict";
import { test } from "node:test";
import { at, entryOf, inputOf } from "../../../src/graph/at.js";
import { float32Data } from "../../../src/graph/tensor.js";
import type { Graph } from "../../../src/graph/types.js";
import { roundedToBits } from "../../../src/ops/families/weight_grid.js";
import { balanceFactors } from "../../../src/ops/passes/balance_factors.js";
import { storeWeights } from "../../../src/ops/passes/store_weights.js";
import { Network } from "../../../support/network.js";

function network(seed: number): Graph {
  const net = new Network(seed, [3, 8, 8]);
  return net.graph([net.conv("x", 6, { basis: 4, bias: true, deadBasis: [2] })]);
}

/** Coefficients and basis of the one decomposed layer. */
function factors({ nodes, initializers }: Graph): readonly [Float32Array, Float32Array] {
  const product = at(
    nodes.filter(({ op }) => op === "MatMul"),
    0,
  );
  const data = (input: number): Float32Array => float32Data(entryOf(initializers, inputOf(product, input)));
  return [data(0), data(1)];
}

/** Kernels [outputs * channels, 9], and the sum of what their terms are in size. */
function kernels(graph: Graph): readonly { readonly value: number; readonly terms: number }[] {
  const [coefs, basis] = factors(graph);
  return Array.from({ length: (coefs.length / 4) * 9 }, (_, index) => {
    const products = [0, 1, 2, 3].map(
      (kernel) => at(coefs, 4 * Math.floor(index / 9) + kernel) * at(basis, 9 * kernel + (index % 9)),
    );
    return {
      value: products.reduce((sum, product) => sum + product, 0),
      terms: products.reduce((sum, product) => sum + Math.abs(product), 0),
    };
  });
}

test("balanced factors give the same kernels, and zeros stay zeros", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const graph = network(seed);
    const balanced = balanceFactors(graph);
    const after = kernels(balanced);
    kernels(graph).forEach(({ value, terms }, index) => {
      assert.ok(Math.abs(value - at(after, index).value) <= 1e-6 * terms);
    });
    const [coefs] = factors(graph);
    factors(balanced)[0].forEach((value, index) => {
      assert.equal(value === 0, at(coefs, index) === 0);
    });
  }
});

test("what was rounded once is neither balanced nor rounded again", () => {
  const stored = storeWeights(network(3), "int8").graph;
  assert.equal(balanceFactors(stored), stored);
});

test("factors that something else reads stay as they are", () => {
  const graph = network(5);
  const product = at(
    graph.nodes.filter(({ op }) => op === "MatMul"),
    0,
  );
  for (const input of [0, 1]) {
    const name = inputOf(product, input);
    const read: Graph = { ...graph, outputs: [...graph.outputs, { name, type: undefined }] };
    assert.equal(balanceFactors(read), read);
  }
});

test("biases keep eleven binary digits, and no more are lost the second time", () => {
  const [name = ""] = [...network(7).initializers].flatMap(([each, { dims }]) =>
    dims.length === 1 && each.startsWith("bias") ? [each] : [],
  );
  const bias = float32Data(entryOf(network(7).initializers, name));
  const { graph } = storeWeights(network(7), "int8");
  const rounded = float32Data(entryOf(graph.initializers, name));
  rounded.forEach((value, index) => {
    assert.ok(Math.abs(value - at(bias, index)) <= 2 ** -11 * Math.abs(at(bias, index)));
    assert.equal(roundedToBits(value, 11), value);
  });
  assert.deepEqual(storeWeights(graph, "int8").graph.initializers.get(name), graph.initializers.get(name));
});
