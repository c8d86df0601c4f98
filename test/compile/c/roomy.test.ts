import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cTarget } from "../../../src/compile/c/target.js";
import { compileProgram } from "../../../src/compile/compile.js";
import { denseBlocking } from "../../../src/compile/kernels/dense_blocking.js";
import type { BlockShape } from "../../../src/compile/kernels/pixel_blocks.js";
import { wasmTarget } from "../../../src/compile/wasm/target.js";
import { runGraph } from "../../../src/execute/node.js";
import { at } from "../../../src/graph/at.js";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import { numericData } from "../../../src/graph/tensor.js";
import { Network } from "../../../support/network.js";
import { type ContractCase, forcedRates } from "../contract_case.js";
import { runCasesInC } from "../run_c.js";
import { type Build, NAME, SANITIZERS, skipOf } from "./support.js";
import "../self_checked.js";

// The second bodies of kernels, with larger blocks for machines with more registers. A macro asks for them on any.

const grids = fc
  .record({ rows: fc.integer({ min: 1, max: 40 }), columns: fc.integer({ min: 1, max: 400 }) })
  .map(({ rows, columns }) => ({ rows, columns, inputRow: columns + 2, outputRow: columns }));

test("sums, positions and a weight fit into 16 and into 32 registers", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), grids, (outputs, grid) => {
      const { outputs: block, shape, roomyShape } = denseBlocking({ outputs, grid }, cTarget);
      assert.ok(roomyShape !== undefined && block <= outputs);
      const needed = ({ rows, vectors }: BlockShape): number => (block + 1) * rows * vectors + 1;
      assert.ok(needed(shape) <= 16 && needed(roomyShape) < 32, `${needed(shape)} and ${needed(roomyShape)}`);
    }),
    { seed: 20 },
  );
});

test("a map of 7 x 7 goes through 32 registers in two blocks, and has none in WebAssembly", () => {
  const grid = { rows: 1, columns: 49, inputRow: 49, outputRow: 49 };
  const { outputs, roomyShape } = denseBlocking({ outputs: 960, grid }, cTarget);
  assert.deepEqual({ outputs, roomyShape }, { outputs: 6, roomyShape: { rows: 1, vectors: 4 } });
  assert.equal(denseBlocking({ outputs: 960, grid }, wasmTarget).roomyShape, undefined);
});

/** Convolutions one after the other whose channels and positions are no multiples of blocks, with what follows them. */
function odd(seed: number, dims: readonly number[], channels: readonly number[], kernel: number) {
  const net = new Network(seed, dims);
  const pad = (kernel - 1) / 2;
  const end = channels.reduce((x, count) => net.relu(net.conv(x, count, { kernel, pad, bias: true })), "x");
  const side = net.conv("x", channels.at(-1) ?? 1, { kernel: 1 });
  const graph = net.graph([net.op("Sigmoid", [net.op("Add", [end, side])])]);
  return { name: `case ${seed}`, graph: fixBatch(graph, 2), feeds: net.feeds(2), ops: [] };
}

const networks = [
  odd(1, [5, 7, 7], [1, 2, 3, 4, 13], 1),
  odd(2, [9, 14, 14], [7, 16, 5], 1),
  odd(3, [3, 5, 5], [11, 6], 1),
  odd(4, [2, 3, 67], [10, 3], 1),
  odd(5, [4, 9, 13], [8, 5], 3),
  odd(6, [3, 23, 3], [4, 9], 3),
  odd(7, [2, 1, 1], [6, 1], 1),
  // So many weights that they are prefetched, the last ones from behind their end.
  odd(8, [130, 3, 7], [131, 5], 1),
];

const cases: readonly ContractCase[] = [forcedRates.dense, forcedRates.tiles].flatMap((rates) =>
  networks.map((network) => ({ ...network, rates })),
);

test("most of the networks have kernels with a second body", () => {
  const count = cases.filter(({ graph, rates }) =>
    compileProgram(graph, { ...cTarget, rates }).steps.some(({ kernel }) => kernel.roomyBody !== undefined),
  ).length;
  assert.ok(count >= cases.length - 4, `${count} of ${cases.length}`);
});

const FORCED = "-DROOMY";
const builds: readonly Build[] = [
  { compiler: "gcc", flags: ["-O2", "-mavx2", "-mfma", FORCED] },
  { compiler: "gcc", flags: ["-O0", "-mavx2", "-mfma", FORCED, ...SANITIZERS] },
  { compiler: "clang", flags: ["-O2", "-mavx2", "-mfma", FORCED] },
  { compiler: "clang", flags: ["-O0", "-msse2", FORCED] },
  { compiler: "gcc", flags: ["-O0", `-D${NAME.toUpperCase()}_SCALAR`, FORCED] },
  { compiler: "gcc", flags: ["-O3", "-march=native"] },
];

for (const build of builds) {
  const title = `ONNX Runtime's values, within 1e-5 and 1e-4 of them: ${build.compiler} ${build.flags.join(" ")}`;
  test(title, { skip: skipOf(build) }, async () => {
    const found = runCasesInC(cases, build);
    for (const [index, { name, graph, feeds }] of cases.entries()) {
      for (const [output, expected] of await runGraph(graph, feeds)) {
        const values = at(found, index).get(output) ?? new Float32Array();
        const wanted = numericData(expected);
        assert.equal(values.length, wanted.length);
        values.forEach((value, element) => {
          const want = Number(wanted[element]);
          const isNear = Math.abs(value - want) <= 1e-5 + 1e-4 * Math.abs(want);
          assert.ok(isNear, `${name}, element ${element}: expected ${want}, found ${value}`);
        });
      }
    }
  });
}
