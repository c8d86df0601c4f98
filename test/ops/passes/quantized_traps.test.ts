import assert from "node:assert/strict";
import { test } from "node:test";
import { compileToWasm } from "../../../src/compile/index.js";
import { runGraph } from "../../../src/execute/node.js";
import { int, ints, text } from "../../../src/graph/attributes.js";
import {
  float32Data,
  float32Tensor,
  numericData,
  numericTensor,
  scalarTensor,
} from "../../../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../../../src/graph/types.js";
import { dequantize } from "../../../src/ops/passes/dequantize.js";
import { importModel } from "../../../src/ops/passes/import_model.js";
import { bytesTensor, randomBytes } from "../../../support/quantized.js";
import { node, randomTensor, smallGraph } from "../../../support/small_models.js";
import { runModule } from "../../compile/run_wasm.js";

// Quantized networks that look like what quantizers write, and are something else; and forms of ONNX Runtime's own.

const byte = (value: number): Tensor => bytesTensor("uint8", [], [value]);
const ofRuntime = (given: Node): Node => ({ ...given, domain: "com.microsoft" });
const withRuntime = (graph: Graph): Graph => ({
  ...graph,
  opsets: new Map([...graph.opsets, ["com.microsoft", 1]]),
});

async function run(graph: Graph, x: Tensor): Promise<Float32Array> {
  const y = (await runGraph(graph, new Map([["x", x]]), { optimization: "disabled", threads: 1 })).get("y");
  assert.ok(y !== undefined);
  return Float32Array.from(numericData(y));
}

function assertNear(found: Float32Array | undefined, expected: Float32Array, tolerance: number): void {
  assert.equal(found?.length, expected.length);
  expected.forEach((value, at) => {
    const difference = Math.abs(value - (found?.[at] ?? Number.NaN));
    assert.ok(difference <= tolerance, `y[${at}]: ${value} became ${found?.[at]}`);
  });
}

const steps = {
  s: float32Tensor([4], [0.01, 0.02, 0.04, 0.08]),
  z: bytesTensor("uint8", [4], [128, 100, 130, 140]),
  one: scalarTensor(0.02),
  zero: byte(120),
};
const quantize = (axis: number) => node("QuantizeLinear", ["x", "s", "z"], "q", { axis: int(axis) });

/** Networks whose conversions do not mean the same before and behind. */
const axes: Readonly<Record<string, readonly Node[]>> = {
  "other axes": [quantize(1), node("DequantizeLinear", ["q", "s", "z"], "y", { axis: int(2) })],
  "a Transpose between them": [
    quantize(1),
    node("Transpose", ["q"], "t", { perm: ints([0, 2, 1]) }),
    node("DequantizeLinear", ["t", "s", "z"], "y", { axis: int(1) }),
  ],
};

for (const [name, nodes] of Object.entries(axes)) {
  test(`scales along an axis, with ${name}, are not taken for a pair`, async () => {
    const graph = smallGraph([2, 4, 4], nodes, { s: steps.s, z: steps.z });
    const x = randomTensor([2, 4, 4], 3);
    const { graph: same } = dequantize(graph);
    assertNear(await run(same, x), await run(graph, x), 0);
  });
}

test("scales along the same axis, counted from the other end, are a pair", async () => {
  const graph = smallGraph(
    [2, 4, 4],
    [quantize(1), node("DequantizeLinear", ["q", "s", "z"], "y", { axis: int(-2) })],
    { s: steps.s, z: steps.z },
  );
  assert.deepEqual(dequantize(graph).left, []);
});

test("maxima of integers with a scale below 0 are minima, and stay", async () => {
  const graph = smallGraph(
    [1, 2, 4, 4],
    [
      node("QuantizeLinear", ["x", "s", "zero"], "q"),
      node("MaxPool", ["q"], "m", { kernel_shape: ints([2, 2]) }),
      node("DequantizeLinear", ["m", "s", "zero"], "y"),
    ],
    { s: scalarTensor(-0.02), zero: byte(128) },
  );
  const x = randomTensor([1, 2, 4, 4], 3);
  assertNear(await run(dequantize(graph).graph, x), await run(graph, x), 0);
});

const W = randomBytes("int8", [8, 5], [-60, 60], 3);
const dynamic = (behind: readonly Node[], product = ["xq", "w", "xz"]): Graph =>
  smallGraph(
    [3, 8],
    [
      { ...node("DynamicQuantizeLinear", ["x"], "xq"), outputs: ["xq", "xs", "xz"] },
      node("MatMulInteger", product, "sums"),
      node("Cast", ["sums"], "f", { to: int(1) }),
      ...behind,
    ],
    { w: W, ws: scalarTensor(0.02), shift: scalarTensor(3) },
  );

/** What reads the scale, or the sums, otherwise than as one factor of the other. */
const uses: Readonly<Record<string, Graph>> = {
  "sums without a scale": dynamic([node("Identity", ["f"], "y")]),
  "sums that are shifted before they are scaled": dynamic([
    node("Add", ["f", "shift"], "g"),
    node("Mul", ["g", "xs"], "y"),
  ]),
  "sums times the scale's square": dynamic([node("Mul", ["xs", "xs"], "g"), node("Mul", ["f", "g"], "y")]),
  "a scale that something else reads": dynamic([
    node("Mul", ["xs", "ws"], "g"),
    node("Mul", ["f", "g"], "h"),
    node("Mul", ["xs", "shift"], "k"),
    node("Add", ["h", "k"], "y"),
  ]),
  "data that are not counted from their zero point": dynamic([node("Mul", ["f", "xs"], "y")], ["xq", "w"]),
};

for (const [name, graph] of Object.entries(uses)) {
  test(`dynamic quantization, ${name}: stays, and gives what it gave`, async () => {
    const x = randomTensor([3, 8], 5);
    const { graph: same, left } = dequantize(graph);
    assert.ok(left.length > 0);
    assertNear(await run(same, x), await run(graph, x), 0);
  });
}

for (const [name, factors] of [
  ["the scale first", [node("Mul", ["xs", "f"], "g"), node("Mul", ["g", "ws"], "y")]],
  ["both scales first", [node("Mul", ["ws", "xs"], "g"), node("Mul", ["g", "f"], "y")]],
] as const) {
  test(`dynamic quantization, ${name}: is taken back`, async () => {
    const graph = dynamic(factors);
    const x = randomTensor([3, 8], 5);
    const { graph: real, left } = dequantize(graph);
    assert.deepEqual(left, []);
    // 8 products of half a step of the data, 1/255, with weights of up to 1.2.
    assertNear(await run(real, x), await run(graph, x), 8 * 1.2 * (1 / 255));
  });
}

test("computed weights of QLinearMatMul keep the axis of their scales", async () => {
  const graph = smallGraph(
    [4, 4],
    [
      node("QuantizeLinear", ["x", "one", "zero"], "q"),
      node("Transpose", ["q"], "t"),
      node("Cast", ["t"], "c", { to: int(6) }),
      node("Cast", ["c"], "w", { to: int(2) }),
      node("QLinearMatMul", ["q", "one", "zero", "w", "s", "z", "ys", "zero"], "yq"),
      node("DequantizeLinear", ["yq", "ys", "zero"], "y"),
    ],
    { ...steps, z: bytesTensor("uint8", [4], [120, 120, 120, 120]), ys: scalarTensor(0.05) },
  );
  const x = randomTensor([4, 4], 3);
  // Half a step of the data times 4 weights of up to 0.08 * 60, and half a step of the result.
  assertNear(await run(dequantize(graph).graph, x), await run(graph, x), 0.01 * 4 * 4.8 + 0.03);
});

test("conversions of ONNX Runtime's own, 16 bits in an operator set without them", async () => {
  const nodes = [
    node("QuantizeLinear", ["x", "s", "z"], "q"),
    node("DequantizeLinear", ["q", "s", "z"], "d"),
    node("DequantizeLinear", ["w", "ws", "wz"], "f", { axis: int(0) }),
  ].map(ofRuntime);
  const behind = [
    node("QuantizeLinear", ["c", "one", "z"], "cq"),
    node("DequantizeLinear", ["cq", "one", "z"], "y"),
  ].map(ofRuntime);
  const z = numericTensor("uint16", [], [32_768]);
  assert.ok(z !== undefined);
  const graph = withRuntime(
    smallGraph([1, 2, 5, 5], [...nodes, node("Conv", ["d", "f"], "c"), ...behind], {
      one: scalarTensor(2 ** -12),
      s: scalarTensor(2 ** -14),
      z,
      w: randomBytes("int8", [3, 2, 3, 3], [-60, 60], 1),
      ws: float32Tensor([3], [0.01, 0.02, 0.03]),
      wz: bytesTensor("int8", [3], [0, 1, 2]),
    }),
  );
  const x = randomTensor([1, 2, 5, 5], 3);
  const expected = await run(graph, x);
  // Sums in another order may fall on the other side of the middle of two steps.
  const compiled = runModule(compileToWasm(graph), new Map([["x", float32Data(x)]])).get("y");
  assertNear(compiled, expected, 2 ** -12);
  assertNear(await run(importModel(graph), x), expected, 0);
  const { graph: real, left } = dequantize(graph);
  assert.deepEqual(left, []);
  assertNear(await run(real, x), expected, 18 * 1.2 * 2 ** -15 + 2 ** -12);
});

test("QLinearReduceMean, which ONNX Runtime declares and does not compute, is the mean between conversions", async () => {
  const conversion = ["one", "zero"];
  const graphOf = (mean: readonly Node[]): Graph =>
    withRuntime(
      smallGraph(
        [2, 4, 3, 3],
        [
          node("QuantizeLinear", ["x", ...conversion], "q"),
          ...mean,
          node("DequantizeLinear", ["mq", ...conversion], "y"),
        ],
        steps,
      ),
    );
  const axesOf = { axes: ints([2, -1]), keepdims: int(0) };
  const graph = graphOf([
    ofRuntime(node("QLinearReduceMean", ["q", ...conversion, ...conversion], "mq", axesOf)),
  ]);
  const apart = graphOf([
    node("DequantizeLinear", ["q", ...conversion], "d"),
    node("ReduceMean", ["d"], "m", axesOf),
    node("QuantizeLinear", ["m", ...conversion], "mq"),
  ]);
  const x = randomTensor([2, 4, 3, 3], 3);
  assertNear(await run(importModel(graph), x), await run(apart, x), 1e-6);
});

for (const directions of [1, 2]) {
  for (const parameters of [[directions], [directions, 20]]) {
    test(`DynamicQuantizeLSTM, ${directions} directions, scales [${parameters}]: the LSTM behind it`, async () => {
      const count = parameters.reduce((product, size) => product * size, 1);
      const scales = float32Tensor(
        parameters,
        Array.from({ length: count }, (_, at) => 0.004 + 0.001 * (at % 4)),
      );
      const zeros = bytesTensor(
        "int8",
        parameters,
        Array.from({ length: count }, () => 0),
      );
      const inputs = ["x", "w", "r", "b", "", "", "", "", "ws", "wz", "rs", "rz"];
      const graph = withRuntime(
        smallGraph(
          [6, 2, 3],
          [
            {
              ...node("DynamicQuantizeLSTM", inputs, "y", {
                hidden_size: int(5),
                ...(directions === 2 ? { direction: text("bidirectional") } : {}),
              }),
              domain: "com.microsoft",
              // All steps of one, the last of the other.
              outputs: parameters.length === 1 ? ["y"] : ["", "y"],
            },
          ],
          {
            w: randomBytes("int8", [directions, 3, 20], [-120, 120], 1),
            r: randomBytes("int8", [directions, 5, 20], [-120, 120], 2),
            b: randomTensor([directions, 40], 3),
            ws: scales,
            wz: zeros,
            rs: scales,
            rz: zeros,
          },
        ),
      );
      const x = randomTensor([6, 2, 3], 4);
      const { graph: real, left } = dequantize(graph);
      assert.deepEqual(left, []);
      assert.deepEqual(
        real.nodes.map(({ op }) => op),
        ["LSTM"],
      );
      // Data of 8 bits in every step; its outputs lie within (-1, 1).
      assertNear(await run(real, x), await run(graph, x), 0.02);
      assert.throws(() => compileToWasm(graph), /DynamicQuantizeLSTM/);
    });
  }
}

test("operators that cannot be compiled are named without those that only stand behind them", () => {
  const graph = smallGraph(
    [1, 4],
    [
      node("QuantizeLinear", ["x", "one", "zero"], "q"),
      { ...node("Strange", ["q"], "u"), domain: "elsewhere" },
      node("DequantizeLinear", ["u", "one", "zero"], "d"),
      node("Einsum", ["d", "d"], "e", { equation: text("ij,ij->i") }),
      { ...node("Stranger", ["e"], "y"), domain: "elsewhere" },
    ],
    steps,
  );
  const strange = { ...graph, opsets: new Map([...graph.opsets, ["elsewhere", 1]]) };
  assert.throws(() => compileToWasm(strange), /operators that cannot be compiled: Strange, Stranger\./);
});
