import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { InferenceSession } from "onnxruntime-node";
import { compileToWasm } from "../../../src/compile/index.js";
import { runGraph } from "../../../src/execute/node.js";
import { float, int, ints } from "../../../src/graph/attributes.js";
import { float32Data, float32Tensor, scalarTensor } from "../../../src/graph/tensor.js";
import type { Attribute, Graph, Node, Tensor } from "../../../src/graph/types.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { encodeModel } from "../../../src/onnx/write.js";
import { findOp } from "../../../src/ops/inference/registry.js";
import { dequantize } from "../../../src/ops/passes/dequantize.js";
import { importModel } from "../../../src/ops/passes/import_model.js";
import { type ByteType, bytesTensor, int32Tensor, randomBytes } from "../../../support/quantized.js";
import { node, randomTensor, smallGraph } from "../../../support/small_models.js";
import { runModule } from "../../compile/run_wasm.js";

interface Form {
  readonly op: string;
  /** What the node reads: "x" and "v" are the quantized data and another reading of it, with "xs", "xz", "vs", "vz". */
  readonly inputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly constants?: Readonly<Record<string, Tensor>>;
  readonly dims?: readonly number[];
  readonly type?: ByteType;
  readonly opset?: number;
  /** The result's scale; undefined where the result is float32 already. */
  readonly scale?: number;
  /** The largest share of elements that may be one step away: sums close to the middle of two. */
  readonly nearby?: number;
}

const X = ["xq", "xs", "xz"];
const V = ["vq", "vs", "vz"];
const Y = ["ys", "yz"];
const weights = (dims: readonly number[], seed: number): Tensor => randomBytes("int8", dims, [-60, 60], seed);

const forms: Readonly<Record<string, Form>> = {
  "a sum": { op: "QLinearAdd", inputs: [...X, ...V, ...Y], scale: 0.02 },
  "a sum, int8": { op: "QLinearAdd", inputs: [...X, ...V, ...Y], scale: 0.02, type: "int8" },
  "LeakyRelu without zero points": {
    op: "QLinearLeakyRelu",
    inputs: ["xq", "xs", "", "ys", ""],
    scale: 0.01,
  },
  "a sum with a constant of each channel": {
    op: "QLinearAdd",
    inputs: [...X, "bias", "vs", "vz", ...Y],
    constants: { bias: randomBytes("uint8", [4, 1, 1], [0, 255], 9) },
    scale: 0.02,
  },
  "a product": { op: "QLinearMul", inputs: [...X, ...V, ...Y], scale: 0.01 },
  "a product, int8": { op: "QLinearMul", inputs: [...X, ...V, ...Y], scale: 0.01, type: "int8" },
  LeakyRelu: { op: "QLinearLeakyRelu", inputs: [...X, ...Y], attributes: { alpha: float(0.2) }, scale: 0.01 },
  "LeakyRelu as usual": { op: "QLinearLeakyRelu", inputs: [...X, ...Y], scale: 0.01, type: "int8" },
  Sigmoid: { op: "QLinearSigmoid", inputs: [...X, ...Y], scale: 1 / 128 },
  "Softmax along the last axis": {
    op: "QLinearSoftmax",
    inputs: [...X, ...Y],
    attributes: { axis: int(-1), opset: int(13) },
    scale: 1 / 256,
    nearby: 0.05,
  },
  "Softmax of channels": {
    op: "QLinearSoftmax",
    inputs: [...X, ...Y],
    attributes: { axis: int(1), opset: int(17) },
    scale: 1 / 256,
    nearby: 0.05,
  },
  "Softmax of before operator set 13": {
    op: "QLinearSoftmax",
    inputs: [...X, ...Y],
    attributes: { axis: int(1), opset: int(11) },
    opset: 11,
    scale: 1 / 4096,
    nearby: 0.05,
  },
  GlobalAveragePool: { op: "QLinearGlobalAveragePool", inputs: [...X, ...Y], scale: 0.004, nearby: 0.1 },
  "GlobalAveragePool, channels last": {
    op: "QLinearGlobalAveragePool",
    inputs: [...X, ...Y],
    attributes: { channels_last: int(1) },
    scale: 0.004,
    nearby: 0.1,
  },
  AveragePool: {
    op: "QLinearAveragePool",
    inputs: [...X, ...Y],
    attributes: { kernel_shape: ints([3, 3]), pads: ints([1, 1, 0, 0]), strides: ints([2, 1]) },
    scale: 0.011,
    nearby: 0.1,
  },
  "AveragePool that counts its border": {
    op: "QLinearAveragePool",
    inputs: [...X, ...Y],
    attributes: { kernel_shape: ints([2, 2]), pads: ints([1, 1, 1, 1]), count_include_pad: int(1) },
    scale: 0.011,
    type: "int8",
    nearby: 0.1,
  },
  "AveragePool, channels last": {
    op: "QLinearAveragePool",
    inputs: [...X, ...Y],
    attributes: { kernel_shape: ints([2, 2]), channels_last: int(1) },
    scale: 0.011,
    nearby: 0.1,
  },
  "Concat of channels": {
    op: "QLinearConcat",
    inputs: [...Y, ...X, ...V],
    attributes: { axis: int(1) },
    scale: 0.02,
  },
  "Concat of rows, int8": {
    op: "QLinearConcat",
    inputs: [...Y, ...V, ...X, ...V],
    attributes: { axis: int(2) },
    scale: 0.02,
    type: "int8",
  },
  Where: {
    op: "QLinearWhere",
    inputs: ["condition", ...X, ...V, ...Y],
    constants: { condition: { type: "bool", dims: [6], bytes: Uint8Array.of(1, 0, 0, 1, 1, 0) } },
    scale: 0.02,
  },
  "Conv in the runtime's domain": {
    op: "QLinearConv",
    inputs: [...X, "w", "ws", "wz", ...Y, "wb"],
    attributes: { pads: ints([1, 1, 1, 1]), kernel_shape: ints([3, 3]) },
    constants: {
      w: weights([5, 4, 3, 3], 3),
      ws: float32Tensor([5], [0.01, 0.02, 0.005, 0.01, 0.015]),
      wz: bytesTensor("int8", [5], [0, 0, 0, 0, 0]),
      wb: int32Tensor([5], [100, -500, 0, 20, 3000]),
    },
    scale: 0.05,
  },
  "Conv, channels last": {
    op: "QLinearConv",
    inputs: [...X, "w", "ws", "wz", ...Y],
    attributes: { strides: ints([2, 2]), channels_last: int(1) },
    constants: { w: weights([5, 6, 3, 3], 3), ws: scalarTensor(0.01), wz: bytesTensor("int8", [], [0]) },
    scale: 0.05,
  },
  "Gemm, rounded": {
    op: "QGemm",
    inputs: [...X, "w", "ws", "wz", "wb", ...Y],
    constants: {
      w: weights([24, 5], 3),
      ws: float32Tensor([5], [0.01, 0.02, 0.005, 0.01, 0.015]),
      wz: bytesTensor("int8", [5], [0, 0, 0, 0, 0]),
      wb: int32Tensor([5], [100, -500, 0, 20, 3000]),
    },
    dims: [3, 24],
    scale: 0.05,
  },
  "Gemm, turned, not rounded": {
    op: "QGemm",
    inputs: [...X, "w", "ws", "wz", "wb"],
    attributes: { transB: int(1), alpha: float(0.5) },
    constants: {
      w: weights([5, 24], 3),
      ws: scalarTensor(0.01),
      wz: bytesTensor("int8", [], [3]),
      wb: int32Tensor([5], [100, -500, 0, 20, 3000]),
    },
    dims: [3, 24],
  },
  "Gemm, data turned, no bias": {
    op: "QGemm",
    inputs: [...X, "w", "ws", "wz", "", ...Y],
    attributes: { transA: int(1) },
    constants: { w: weights([24, 5], 3), ws: scalarTensor(0.01), wz: bytesTensor("int8", [], [0]) },
    dims: [24, 3],
    scale: 0.05,
  },
  "a product of integers made float": {
    op: "MatMulIntegerToFloat",
    inputs: ["xq", "w", "xs", "ws", "xz", "wz", "bias"],
    constants: {
      w: weights([24, 5], 3),
      ws: scalarTensor(0.01),
      wz: bytesTensor("int8", [], [2]),
      bias: randomTensor([5], 8),
    },
    dims: [3, 24],
  },
  "a product of data that are quantized for it": {
    op: "DynamicQuantizeMatMul",
    inputs: ["x", "w", "ws", "wz", "bias"],
    constants: {
      w: weights([24, 5], 3),
      ws: scalarTensor(0.01),
      wz: bytesTensor("int8", [], [0]),
      bias: randomTensor([5], 8),
    },
    dims: [3, 24],
  },
};

/** No sum of theirs lies in the middle of two steps but by chance. */
const [DATA_SCALE, OTHER_SCALE] = [0.008317, 0.0109];

/** The node between a QuantizeLinear of x, another of 0.8 x, and a DequantizeLinear. */
function network({ op, inputs, attributes = {}, constants = {}, dims = [2, 4, 6, 6], ...form }: Form): Graph {
  const { type = "uint8", opset = 17, scale } = form;
  const zero = (unsigned: number): Tensor =>
    bytesTensor(type, [], [type === "uint8" ? unsigned : unsigned - 128]);
  const used = new Set(inputs);
  const fused: Node = {
    ...node(op, inputs, scale === undefined ? "y" : "yq", attributes),
    domain: "com.microsoft",
  };
  const nodes = [
    ...(used.has("xq") ? [node("QuantizeLinear", used.has("xz") ? X.with(0, "x") : ["x", "xs"], "xq")] : []),
    ...(used.has("vq")
      ? [node("Mul", ["x", "less"], "v"), node("QuantizeLinear", ["v", "vs", "vz"], "vq")]
      : []),
    fused,
    ...(scale === undefined
      ? []
      : [node("DequantizeLinear", ["yq", ...(inputs.includes("yz") ? Y : ["ys"])], "y")]),
  ];
  const graph = smallGraph(dims, nodes, {
    xs: scalarTensor(DATA_SCALE),
    xz: zero(130),
    vs: scalarTensor(OTHER_SCALE),
    vz: zero(125),
    less: scalarTensor(0.8),
    ...(scale === undefined ? {} : { ys: scalarTensor(scale), yz: zero(100) }),
    ...constants,
  });
  return {
    ...graph,
    opsets: new Map([
      ["", opset],
      ["com.microsoft", 1],
    ]),
  };
}

/** Elements that are a step of the result's scale away from ONNX Runtime's; none may be farther. */
function countNearby(expected: Float32Array, found: Float32Array | undefined, step: number): number {
  assert.equal(found?.length, expected.length);
  let nearby = 0;
  expected.forEach((value, at) => {
    const difference = Math.abs(value - (found?.[at] ?? Number.NaN));
    const isSame = difference <= 1e-5 * Math.max(1, Math.abs(value));
    assert.ok(isSame || difference <= 1.001 * step, `y[${at}]: ${value}, ${found?.[at]}`);
    if (!isSame) nearby += 1;
  });
  return nearby;
}

for (const [name, form] of Object.entries(forms)) {
  test(`com.microsoft ${form.op}, ${name}: as ONNX Runtime computes it`, async () => {
    const graph = network(form);
    const feeds = new Map([["x", randomTensor(form.dims ?? [2, 4, 6, 6], 5)]]);
    const run = async (given: Graph): Promise<Float32Array> => {
      const y = (await runGraph(given, feeds, { optimization: "disabled", threads: 1 })).get("y");
      assert.ok(y !== undefined);
      return float32Data(y);
    };
    const imported = importModel(graph, { verify: true });
    assert.deepEqual(
      imported.nodes.filter((each) => findOp(each) === undefined || each.domain !== "").map(({ op }) => op),
      [],
    );
    const expected = await run(graph);
    const [step, share] = [form.scale ?? 0, form.nearby ?? 0.01];
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest > 4 * step && largest > 0);
    assert.ok(countNearby(expected, await run(imported), step) <= share * expected.length, "rewritten");
    const values = new Map([...feeds].map(([input, tensor]) => [input, float32Data(tensor)]));
    const compiled = runModule(compileToWasm(graph), values).get("y");
    assert.ok(countNearby(expected, compiled, step) <= share * expected.length, "compiled");

    const { graph: real, left } = dequantize(graph);
    if (form.op === "MatMulIntegerToFloat") return;
    assert.deepEqual(left, []);
    assert.ok(
      real.nodes.every(({ op, domain }) => domain === "" && !/Quantize|Integer|QLinear|Cast/.test(op)),
    );
    const floating = await run(real);
    expected.forEach((value, at) => {
      // Integers of the data, of 0.8 times the data and of the result: half a step each, in the worst case added up.
      const difference = Math.abs(value - (floating[at] ?? Number.NaN));
      assert.ok(
        difference <= step + 0.06 * Math.max(1, largest),
        `y[${at}]: ${value} became ${floating[at]}`,
      );
    });
  });
}

/** A network with pairs around every value, which ONNX Runtime's optimizers merge into operators on integers. */
function withPairs(): Graph {
  const nodes: Node[] = [];
  const emit = (
    op: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute> = {},
  ): string => {
    const output = `v${nodes.length}`;
    nodes.push(node(op, inputs, output, attributes));
    return output;
  };
  const pair = (x: string): string =>
    emit("DequantizeLinear", [emit("QuantizeLinear", [x, "s", "z"]), "s", "z"]);
  const weight = (name: string): string => emit("DequantizeLinear", [name, "ws", "wz"]);
  const bias = (name: string): string => emit("DequantizeLinear", [name, "bs"]);
  const window = { pads: ints([1, 1, 1, 1]) };
  const first = pair(emit("Relu", [emit("Conv", [pair("x"), weight("w1"), bias("b1")], window)]));
  const second = pair(emit("Conv", [first, weight("w2")], window));
  const sum = pair(emit("Add", [first, second]));
  const product = pair(emit("Mul", [sum, second]));
  const leaky = pair(emit("LeakyRelu", [product], { alpha: float(0.1) }));
  const joined = pair(emit("Concat", [leaky, sum], { axis: int(1) }));
  const depthwise = pair(emit("Conv", [joined, weight("wd")], { ...window, group: int(16) }));
  const largest = pair(emit("MaxPool", [depthwise], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }));
  const mean = pair(emit("AveragePool", [largest], { kernel_shape: ints([2, 2]) }));
  const all = pair(emit("GlobalAveragePool", [pair(emit("Sigmoid", [mean]))]));
  const scores = pair(emit("Gemm", [pair(emit("Flatten", [all])), weight("wm"), bias("bm")]));
  nodes.push(node("Identity", [pair(emit("Softmax", [scores]))], "y"));
  return smallGraph([1, 3, 8, 8], nodes, {
    s: scalarTensor(0.0311),
    z: bytesTensor("uint8", [], [128]),
    ws: scalarTensor(0.005),
    wz: bytesTensor("int8", [], [0]),
    bs: scalarTensor(Math.fround(0.0311 * 0.005)),
    w1: weights([8, 3, 3, 3], 1),
    w2: weights([8, 8, 3, 3], 2),
    wd: weights([16, 1, 3, 3], 3),
    wm: weights([16, 5], 4),
    b1: int32Tensor([8], [100, 200, -300, 0, 500, 60, 70, 800]),
    bm: int32Tensor([5], [1000, 200, -3000, 0, 500]),
  });
}

const folder = mkdtempSync(path.join(tmpdir(), "penni-unfuse-quantized-"));
after(() => rmSync(folder, { recursive: true, force: true }));

for (const [level, expected] of [
  ["extended", ["QLinearAdd", "QLinearConcat", "QLinearSoftmax", "QGemm", "QLinearGlobalAveragePool"]],
  ["all", ["NhwcMaxPool", "QLinearConv", "QLinearAveragePool", "QLinearSigmoid", "QLinearLeakyRelu"]],
] as const) {
  test(`a quantized file that ONNX Runtime has optimized, level ${level}`, async () => {
    const file = path.join(folder, `${level}.onnx`);
    const session = await InferenceSession.create(encodeModel(withPairs()), {
      graphOptimizationLevel: level,
      optimizedModelFilePath: file,
      logSeverityLevel: 4,
    });
    await session.release();
    const graph = decodeModel(new Uint8Array(readFileSync(file)));
    const found = graph.nodes.filter(({ domain }) => domain === "com.microsoft").map(({ op }) => op);
    for (const op of expected) assert.ok(found.includes(op), `${op} among ${found.join(", ")}`);
    const imported = importModel(graph, { verify: true });
    assert.deepEqual(
      imported.nodes.filter((each) => findOp(each) === undefined || each.domain !== "").map(({ op }) => op),
      [],
    );
    const feeds = new Map([["x", randomTensor([1, 3, 8, 8], 5)]]);
    const run = async (given: Graph): Promise<Float32Array> => {
      const y = (await runGraph(given, feeds, { optimization: "disabled", threads: 1 })).get("y");
      assert.ok(y !== undefined);
      return float32Data(y);
    };
    const scores = await run(graph);
    assert.ok(new Set(scores).size > 2, `${[...scores]}`);
    // Steps that differ at the middle of two add up over twelve layers: two steps of the scores.
    const near = (other: Float32Array | undefined, tolerance: number): void => {
      assert.equal(other?.length, scores.length);
      scores.forEach((value, at) => {
        assert.ok(
          Math.abs(value - (other?.[at] ?? Number.NaN)) <= tolerance,
          `y[${at}]: ${value}, ${other?.[at]}`,
        );
      });
    };
    near(await run(imported), 0.063);
    const values = new Map([...feeds].map(([input, tensor]) => [input, float32Data(tensor)]));
    near(runModule(compileToWasm(graph), values).get("y"), 0.063);
    const { graph: real, left } = dequantize(graph);
    assert.deepEqual(left, []);
    near(await run(real), 0.1);
  });
}
