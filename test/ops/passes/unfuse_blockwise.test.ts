import assert from "node:assert/strict";
import { test } from "node:test";
import { compileToWasm } from "../../../src/compile/index.js";
import { runGraph } from "../../../src/execute/node.js";
import { int } from "../../../src/graph/attributes.js";
import { float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../../src/graph/types.js";
import { importModel } from "../../../src/ops/passes/import_model.js";
import { randomBytes } from "../../../support/quantized.js";
import { node, randomTensor, smallGraph } from "../../../support/small_models.js";
import { runModule } from "../../compile/run_wasm.js";

interface Form {
  readonly bits?: number;
  readonly block?: number;
  readonly rows?: number;
  readonly zeros?: "packed" | "numbers";
  readonly bias?: boolean;
}

const COLUMNS = 6;

function network({ bits = 4, block = 16, rows = 64, zeros, bias = false }: Form): Graph {
  const count = Math.ceil(rows / block);
  const bytes = (dims: readonly number[], seed: number): Tensor => randomBytes("uint8", dims, [0, 255], seed);
  const points: Readonly<Record<string, Tensor>> =
    zeros === undefined
      ? {}
      : zeros === "packed"
        ? { z: bytes([COLUMNS * Math.ceil((count * bits) / 8)], 4) }
        : { z: randomTensor([COLUMNS * count], 4) };
  const inputs = ["x", "w", "s", zeros === undefined ? "" : "z", "", bias ? "b" : ""];
  const fused = node("MatMulNBits", inputs, "y", {
    K: int(rows),
    N: int(COLUMNS),
    bits: int(bits),
    block_size: int(block),
  });
  const graph = smallGraph([2, 3, rows], [{ ...fused, domain: "com.microsoft" }], {
    w: bytes([COLUMNS, count, (block * bits) / 8], 2),
    s: float32Tensor(
      [COLUMNS * count],
      Array.from({ length: COLUMNS * count }, (_, at) => 0.01 + 0.003 * ((7 * at) % 5)),
    ),
    ...points,
    ...(bias ? { b: randomTensor([COLUMNS], 5) } : {}),
  });
  return { ...graph, opsets: new Map([...graph.opsets, ["com.microsoft", 1]]) };
}

const forms: Readonly<Record<string, Form>> = {
  "4 bits, no zero points": {},
  "4 bits, zero points that share bytes, an odd number of them": { zeros: "packed", rows: 48 },
  "4 bits, zero points that are numbers, a bias": { zeros: "numbers", bias: true },
  "4 bits, the last block short": { rows: 40, zeros: "packed" },
  "8 bits": { bits: 8, block: 32, zeros: "packed" },
  "2 bits": { bits: 2, zeros: "packed" },
};

for (const [name, form] of Object.entries(forms)) {
  test(`com.microsoft MatMulNBits, ${name}: as ONNX Runtime computes it`, async () => {
    const graph = network(form);
    const x = randomTensor([2, 3, form.rows ?? 64], 3);
    const run = async (given: Graph): Promise<Float32Array> => {
      const y = (await runGraph(given, new Map([["x", x]]), { optimization: "disabled", threads: 1 })).get(
        "y",
      );
      assert.ok(y !== undefined);
      return float32Data(y);
    };
    const expected = await run(graph);
    const imported = importModel(graph, { verify: true });
    assert.equal(imported.nodes.map(({ op }) => op).join(), form.bias === true ? "MatMul,Add" : "MatMul");
    assert.equal(imported.initializers.has("w"), false);
    const compiled = runModule(compileToWasm(graph), new Map([["x", float32Data(x)]])).get("y");
    // The order of up to 64 summands of a few tenths.
    for (const found of [await run(imported), compiled]) {
      assert.equal(found?.length, expected.length);
      expected.forEach((value, at) => {
        assert.ok(Math.abs(value - (found?.[at] ?? Number.NaN)) < 2e-5, `y[${at}]: ${value}, ${found?.[at]}`);
      });
    }
  });
}

test("com.microsoft MatMulNBits stays where its attributes are not those of its weights", () => {
  const graph = network({});
  const [fused] = graph.nodes;
  assert.ok(fused !== undefined);
  for (const wrong of [{ K: 2 ** 40 }, { N: -6 }, { block_size: 0 }, { bits: 3 }, { bits: 0 }, { N: 5 }]) {
    const attributes = new Map(fused.attributes);
    for (const [name, value] of Object.entries(wrong)) attributes.set(name, int(value));
    const broken: Graph = { ...graph, nodes: [{ ...fused, attributes }] };
    assert.equal(importModel(broken).nodes[0]?.op, "MatMulNBits");
    assert.throws(() => compileToWasm(broken), /MatMulNBits/);
  }
});
