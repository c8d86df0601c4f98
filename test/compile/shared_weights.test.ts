import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import { targets } from "../../src/compile/targets.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { runGraph } from "../../src/execute/node.js";
import { int, ints } from "../../src/graph/attributes.js";
import { numericData } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { node, randomTensor, smallGraph } from "../support/small_models.js";
import { runModule } from "./run_wasm.js";

const SIZE = 96;
const WEIGHT_BYTES = 4 * 36 * 2 * 64;

/** One bank of filters over a signal at several rates, as in a constant-Q transform; two names for the same weights. */
function octaves(): Graph {
  const rates = [1, 2, 4, 8];
  const nodes = rates.flatMap((rate) => [
    node("AveragePool", ["x"], `x${rate}`, { kernel_shape: ints([rate]), strides: ints([rate]) }),
    node("Conv", [`x${rate}`, rate > 2 ? "again" : "bank"], `c${rate}`, {
      strides: ints([4]),
      pads: ints([32, 32]),
    }),
    node("GlobalAveragePool", [`c${rate}`], `p${rate}`),
  ]);
  const all = node(
    "Concat",
    rates.map((rate) => `p${rate}`),
    "y",
    { axis: int(1) },
  );
  const bank = randomTensor([36, 2, 64], 1);
  const again = { ...bank, bytes: bank.bytes.slice() };
  return smallGraph([1, 2, SIZE], [...nodes, all], { bank, again });
}

for (const target of ["wasm", "c"] as const) {
  test(`${target}: weights of several convolutions are stored once`, () => {
    const { weights } = compileProgram(octaves(), targets[target]);
    assert.ok(weights.length < 1.2 * WEIGHT_BYTES, `${weights.length} bytes for ${WEIGHT_BYTES}`);
  });
}

test("and every one of them computes what ONNX Runtime does", async () => {
  const x = randomTensor([1, 2, SIZE], 2);
  const expected = numericData((await runGraph(octaves(), new Map([["x", x]]))).get("y") ?? x);
  const module = wasmModule(compileProgram(octaves(), targets.wasm));
  const found = runModule(module, new Map([["x", Float32Array.from(numericData(x))]])).get("y");
  assert.equal(expected.length, 4 * 36);
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expected.forEach((value, at) => {
    assert.ok(Math.abs(value - (found?.[at] ?? Number.NaN)) <= 1e-5 * scale, `y[${at}]`);
  });
});
