import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cTarget } from "../../src/compile/c/target.js";
import { compileProgram } from "../../src/compile/compile.js";
import { inParts, sparseParts } from "../../src/compile/kernels/sparse_conv.js";
import type { Target } from "../../src/compile/target.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { at } from "../../src/graph/at.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, numericData } from "../../src/graph/tensor.js";
import type { Tensor } from "../../src/graph/types.js";
import { storeWeights } from "../../src/ops/passes/store_weights.js";
import { type ConvOptions, Network } from "../../support/network.js";
import { type Build, SANITIZERS, skipOf } from "./c/support.js";
import { type ContractCase, forcedRates } from "./contract_case.js";
import { runCasesInC } from "./run_c.js";
import { runModule, type Values } from "./run_wasm.js";
import "./self_checked.js";

// Sparse products of many input planes go over some of them at a time, and keep their sums in the output meanwhile.

/** Two convolutions with what follows them: a sum with another value, and an activation that is short or long. */
function wide(seed: number, dims: readonly [number, number, number], options: ConvOptions, end: string) {
  const net = new Network(seed, dims);
  const dead = Array.from({ length: dims[0] }, (_, channel) => channel).filter(
    (channel) => channel % 3 === 1,
  );
  const first = net.relu(net.conv("x", 150, { ...options, bias: true, deadInputs: dead, deadOutputs: [3] }));
  const side = net.conv("x", 9, { kernel: 1 });
  const sum = net.op("Add", [net.conv(first, 9, { ...options, deadInputs: dead.slice(20) }), side]);
  const graph = storeWeights(
    fixBatch(net.graph([net.op(end, [sum])]), 2),
    seed % 2 === 0 ? "int8" : "float32",
  );
  return { name: `case ${seed}`, graph: graph.graph, feeds: net.feeds(2), ops: [] };
}

const pointwise: ConvOptions = { kernel: 1 };
const spatial: ConvOptions = { kernel: 3, pad: 1 };
const cases: readonly ContractCase[] = [
  { ...wide(1, [130, 9, 11], pointwise, "Relu"), rates: forcedRates.sparse },
  { ...wide(2, [211, 5, 13], pointwise, "Sigmoid"), rates: forcedRates.sparse },
  { ...wide(3, [96, 10, 10], spatial, "Relu"), rates: forcedRates.sparse },
  { ...wide(4, [64, 7, 9], { ...spatial, basis: 4 }, "Sigmoid"), rates: forcedRates.factored },
  { ...wide(5, [90, 13, 7], { ...spatial, basis: 3, deadBasis: [1] }, "Relu"), rates: forcedRates.factored },
  // Rows that are narrower than a vector, where sums cannot be kept.
  { ...wide(6, [100, 6, 3], spatial, "Relu"), rates: forcedRates.sparse },
];

async function assertRight(results: readonly Values[]): Promise<void> {
  for (const [index, { name, graph, feeds }] of cases.entries()) {
    for (const [output, expected] of await runGraph(graph, feeds)) {
      const found = at(results, index).get(output);
      numericData(expected).forEach((wanted: number | bigint, element: number) => {
        const difference = Math.abs((found?.[element] ?? Number.NaN) - Number(wanted));
        assert.ok(
          difference <= 1e-5 + 1e-4 * Math.abs(Number(wanted)),
          `${name}[${element}]: off by ${difference}`,
        );
      });
    }
  }
}

const valuesOf = (feeds: ReadonlyMap<string, Tensor>): Values =>
  new Map([...feeds].map(([name, tensor]) => [name, float32Data(tensor)]));

test("ONNX Runtime's values in WebAssembly", async () => {
  await assertRight(
    cases.map(({ graph, feeds, rates }) =>
      runModule(wasmModule(compileProgram(graph, { ...wasmTarget, rates })), valuesOf(feeds)),
    ),
  );
});

const builds: readonly Build[] = [
  { compiler: "gcc", flags: ["-O2", "-mavx2", "-mfma"] },
  { compiler: "gcc", flags: ["-O0", "-msse2", ...SANITIZERS] },
  { compiler: "gcc", flags: ["-O1", "-mavx2", "-mfma", "-DROOMY", ...SANITIZERS] },
];

for (const build of builds) {
  test(`the same in C: ${build.flags.join(" ")}`, { skip: skipOf(build) }, () =>
    assertRight(runCasesInC(cases, build)),
  );
}

test("most of these cases have several parts, and a second body", () => {
  const kernels = cases.flatMap(({ graph, rates }) =>
    compileProgram(graph, { ...cTarget, rates })
      .steps.map(({ kernel }) => kernel)
      .filter(({ name }) => name.startsWith("sparse_conv")),
  );
  // Between parts sums are read where they were written.
  const keepsSums = kernels.filter(({ body }) => /"load","pointer":"output"/.test(JSON.stringify(body)));
  assert.ok(keepsSums.length >= 6, `${keepsSums.length} of ${kernels.length}`);
  assert.ok(kernels.filter(({ roomyBody }) => roomyBody !== undefined).length >= 6);
});

test("tiles of a factored layer fill vectors: narrow maps are not computed row by row", () => {
  const tilesOf = (size: number, channels: number, target: Target): number => {
    const net = new Network(5, [channels, size, size], 17, [1, channels, size, size]);
    const graph = net.graph([net.conv("x", 8, { pad: 1, basis: 5 })]);
    const { steps } = compileProgram(graph, { ...target, rates: forcedRates.factored });
    return steps.filter(({ kernel }) => kernel.name.startsWith("sparse_conv")).length;
  };
  for (const target of [cTarget, wasmTarget]) {
    assert.equal(tilesOf(7, 512, target), 1);
    assert.equal(tilesOf(13, 64, target), 1);
    // Rows of 28 fill vectors in pairs; four of them are near, more are not.
    assert.equal(tilesOf(28, 64, target), 7);
  }
});

const shapes = fc.record({
  channels: fc.integer({ min: 1, max: 1500 }),
  maps: fc.integer({ min: 1, max: 9 }),
  taps: fc.constantFrom([0], [0, 1, 2, 20, 21, 22, 40, 41, 42]),
  rows: fc.integer({ min: 1, max: 20 }),
  columns: fc.integer({ min: 1, max: 400 }),
});

test("parts are equal, take whole channels, are not tiny, and one where rows are narrower than a vector", () => {
  fc.assert(
    fc.property(shapes, ({ channels, maps, taps, rows, columns }) => {
      const grid = { rows, columns, inputRow: columns + 2, outputRow: columns };
      const conv = { inputs: channels * maps, taps, grid };
      const parts = sparseParts(conv, maps, 8);
      assert.ok(Number.isInteger(channels / parts));
      if (columns < 8) assert.equal(parts, 1);
    }),
    { seed: 3 },
  );
});

test("weights in parts are those of some inputs of all outputs, then of the next", () => {
  const weights = Float32Array.from({ length: 2 * 4 * 3 }, (_, index) => index);
  const conv = { inputs: 4, outputs: 2, taps: [0, 1, 2] };
  assert.equal(inParts(weights, conv, 1), weights);
  assert.deepEqual(
    [...inParts(weights, conv, 2)],
    [0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17, 6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23],
  );
});
