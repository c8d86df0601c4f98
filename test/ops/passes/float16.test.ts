import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../../src/execute/node.js";
import { int, tensor } from "../../../src/graph/attributes.js";
import { float16ToFloat32, float32ToFloat16 } from "../../../src/graph/float16.js";
import { float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph, Tensor, ValueInfo } from "../../../src/graph/types.js";
import { findDecompositions } from "../../../src/layers/weights.js";
import { decompose } from "../../../src/method/decompose.js";
import { exportModel } from "../../../src/method/export.js";
import { pruneCoefficients } from "../../../src/method/prune.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { encodeModel } from "../../../src/onnx/write.js";
import { verifyTypes } from "../../../src/ops/inference/verify.js";
import {
  float32Interface,
  nodeThatNeedsHalf,
  toFloat32,
  withHalfWeights,
} from "../../../src/ops/passes/float16.js";
import { importModel } from "../../../src/ops/passes/import_model.js";
import { conv, node, randomTensor, smallGraph } from "../../../support/small_models.js";
import { assertNear } from "../../train/support.js";

const halfBits = (values: readonly number[]): Tensor => ({
  type: "float16",
  dims: [values.length],
  bytes: new Uint8Array(Uint16Array.from(values).buffer),
});

test("every finite float16 survives the way through float32", () => {
  const finite = Array.from({ length: 2 ** 16 }, (_, bits) => bits).filter(
    (bits) => (bits & 0x7c00) !== 0x7c00,
  );
  const there = float16ToFloat32(halfBits(finite));
  assert.deepEqual(float32ToFloat16(there)?.bytes, halfBits(finite).bytes);
});

test("float32 is rounded as ONNX Runtime's Cast does, ties and subnormal numbers included", async () => {
  const exponents = Array.from({ length: 43 }, (_, index) => index - 28);
  const values = exponents.flatMap((exponent) =>
    [1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 1.000732, 1.9998, -1.7].map((mantissa) => mantissa * 2 ** exponent),
  );
  const x = float32Tensor([values.length], values);
  const casts = [node("Cast", ["x"], "h", { to: int(10) }), node("Cast", ["h"], "y", { to: int(1) })];
  const expected = (await runGraph(smallGraph([values.length], casts, {}), new Map([["x", x]]))).get("y");
  const half = float32ToFloat16(x);
  assert.ok(half !== undefined && expected !== undefined);
  assert.deepEqual(float32Data(float16ToFloat32(half)), float32Data(expected));
  for (const value of [65_520, -1e30, Infinity, Number.NaN])
    assert.equal(float32ToFloat16(float32Tensor([1], [value])), undefined);
});

/** Conv 3x3 - Relu - Conv 3x3 - global mean - Gemm. */
const network = smallGraph(
  ["N", 3, 8, 8],
  [
    conv({ name: "c1", input: "x", weight: "w1", bias: "b1", kernel: 3 }),
    node("Relu", ["c1"], "r1"),
    conv({ name: "c2", input: "r1", weight: "w2", kernel: 3 }),
    node("GlobalAveragePool", ["c2"], "p"),
    node("Flatten", ["p"], "f"),
    node("Constant", [], "scale", { value: tensor(float32Tensor([], [0.5])) }),
    node("Mul", ["f", "scale"], "m"),
    node("MatMul", ["m", "wfc"], "y"),
  ],
  {
    w1: randomTensor([32, 3, 3, 3], 1),
    b1: randomTensor([32], 2),
    w2: randomTensor([32, 32, 3, 3], 3),
    wfc: randomTensor([32, 5], 4),
  },
);

const asHalf = (each: Tensor): Tensor => float32ToFloat16(each) ?? each;
const halfInfo = (info: ValueInfo): ValueInfo => ({
  ...info,
  type: { elementType: "float16", shape: info.type?.shape ?? ["N", 5] },
});

/** The network as `model.half()` leaves it. */
const wholeHalf: Graph = {
  ...network,
  inputs: network.inputs.map(halfInfo),
  outputs: network.outputs.map(halfInfo),
  nodes: network.nodes.map((each) => ({
    ...each,
    attributes: new Map(
      [...each.attributes].map(([name, value]) => [
        name,
        value.kind === "tensor" ? tensor(asHalf(value.value)) : value,
      ]),
    ),
  })),
  initializers: new Map([...network.initializers].map(([name, each]) => [name, asHalf(each)])),
};

const x = randomTensor([2, 3, 8, 8], 9);

async function run(graph: Graph | Uint8Array): Promise<Float32Array> {
  const y = (await runGraph(graph, new Map([["x", x]]))).get("y");
  assert.ok(y !== undefined);
  return float32Data(y);
}

test("a float16 model and one with float16 weights behind Cast become the same float32 network", async () => {
  const behind = withHalfWeights(network);
  assert.ok([...behind.initializers.values()].some(({ type }) => type === "float16"));
  for (const [what, model] of Object.entries({ wholeHalf, behind })) {
    const imported = importModel(model, { verify: true });
    verifyTypes(imported);
    const types = [...imported.initializers.values()].map(({ type }) => type);
    assert.ok(!types.includes("float16"), what);
    assert.ok(
      imported.nodes.every(({ op }) => op !== "Cast"),
      what,
    );
    // float16 arithmetic keeps eleven bits.
    assertNear(await run(imported), await run(float32Interface(model)), 5e-3, what);
  }
  assert.equal(toFloat32(network), network);
});

test("the export of a float16 model has float16 weights, inputs and outputs again, and is smaller", async () => {
  const imported = importModel(wholeHalf);
  const pruned = pruneCoefficients(decompose(imported, { basis: 5 }), { factor: 1 }).graph;
  const single = (await exportModel(pruned)).graph;
  const { graph } = await exportModel(pruned, { original: wholeHalf });
  verifyTypes(graph);
  assert.deepEqual(
    [...graph.inputs, ...graph.outputs].map(({ type }) => type?.elementType),
    ["float16", "float16"],
  );
  const file = encodeModel(graph, { sparse: true });
  assert.ok(file.byteLength < 0.8 * encodeModel(single, { sparse: true }).byteLength, `${file.byteLength}`);
  const read = decodeModel(file);
  assertNear(await run(float32Interface(read)), await run(single), 5e-3, "output");
  assert.equal(findDecompositions(importModel(read)).length, 2);
});

test("where a node that cannot be judged may read float16, the model stays as it is", () => {
  const custom = { ...node("Mystery", ["f"], "m2"), domain: "org.example" };
  const graph = { ...wholeHalf, nodes: [...wholeHalf.nodes, custom] };
  assert.equal(nodeThatNeedsHalf(graph), custom);
  assert.equal(toFloat32(graph), graph);
});
