import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../../src/execute/node.js";
import { int, ints } from "../../../src/graph/attributes.js";
import { elementCount, float32Data, float32Tensor, scalarTensor } from "../../../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../../../src/graph/types.js";
import { convolutions, denseLayer } from "../../../src/layers/weights.js";
import { verifyTypes } from "../../../src/ops/inference/verify.js";
import { dequantize } from "../../../src/ops/passes/dequantize.js";
import { importModel } from "../../../src/ops/passes/import_model.js";
import { type ByteType, bytesTensor, int32Tensor, randomBytes } from "../../../support/quantized.js";
import { node, randomTensor, smallGraph } from "../../../support/small_models.js";

const window = { pads: ints([1, 1, 1, 1]) };
const byte = (type: ByteType, value: number): Tensor => bytesTensor(type, [], [value]);

const weights = {
  w1: randomBytes("int8", [8, 3, 3, 3], [-60, 60], 1),
  s1: float32Tensor([8], [0.01, 0.02, 0.015, 0.01, 0.01, 0.02, 0.005, 0.01]),
  z1: bytesTensor("int8", [8], [0, 0, 0, 0, 0, 0, 0, 0]),
  w2: randomBytes("int8", [4, 8, 3, 3], [-60, 60], 2),
  s2: scalarTensor(0.004),
  z2: byte("int8", 0),
} as const;

/** Weights of 8 bits, all arithmetic in float32: what weight-only quantization writes. */
function weightsOnly(): Graph {
  return smallGraph(
    ["N", 3, 8, 8],
    [
      node("DequantizeLinear", ["w1", "s1", "z1"], "w1f", { axis: int(0) }),
      node("Conv", ["x", "w1f"], "c1", window),
      node("Relu", ["c1"], "r1"),
      node("DequantizeLinear", ["w2", "s2"], "w2f"),
      node("Conv", ["r1", "w2f"], "y", window),
    ],
    weights,
  );
}

/** Pairs around every value; saturation at 0 is the activation, as ONNX Runtime's quantizer leaves it. */
function pairs(): Graph {
  const pair = (x: string, scale: string, zero: string): Node[] => [
    node("QuantizeLinear", [x, scale, zero], `${x}q`),
    node("DequantizeLinear", [`${x}q`, scale, zero], `${x}d`),
  ];
  return smallGraph(
    ["N", 3, 8, 8],
    [
      ...pair("x", "sx", "zx"),
      node("DequantizeLinear", ["w1", "s1", "z1"], "w1f", { axis: int(0) }),
      node("DequantizeLinear", ["b1", "sb"], "b1f", { axis: int(0) }),
      node("Conv", ["xd", "w1f", "b1f"], "c1", window),
      node("QuantizeLinear", ["c1", "sc", "zero"], "c1q"),
      node("MaxPool", ["c1q"], "p1q", { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
      node("DequantizeLinear", ["p1q", "sc", "zero"], "p1"),
      node("DequantizeLinear", ["w2", "s2", "z2"], "w2f"),
      node("Conv", ["p1", "w2f"], "c2", window),
      node("QuantizeLinear", ["c2", "sy", "zy"], "c2q"),
      node("DequantizeLinear", ["c2q", "sy", "zy"], "y"),
    ],
    {
      ...weights,
      sx: scalarTensor(1 / 128),
      zx: byte("uint8", 128),
      b1: int32Tensor([8], [100, -200, 300, 0, 50, 0, 0, 10]),
      sb: float32Tensor(
        [8],
        float32Data(weights.s1).map((scale) => scale / 128),
      ),
      sc: scalarTensor(0.05),
      zero: byte("uint8", 0),
      sy: scalarTensor(0.05),
      zy: byte("uint8", 128),
    },
  );
}

function dynamic(): Graph {
  return smallGraph(
    ["N", 3, 8, 8],
    [
      node("DynamicQuantizeLinear", ["x"], "xq"),
      node("ConvInteger", ["xq", "w1", "xz"], "c1i", window),
      node("Cast", ["c1i"], "c1f", { to: int(1) }),
      node("Mul", ["xs", "s2"], "f1"),
      node("Mul", ["c1f", "f1"], "c1"),
      node("Relu", ["c1"], "r1"),
      node("ReduceMean", ["r1"], "m", { axes: ints([2, 3]), keepdims: int(0) }),
      node("DynamicQuantizeLinear", ["m"], "mq"),
      node("MatMulInteger", ["mq", "wm", "mz", "zm"], "yi"),
      node("Cast", ["yi"], "yf", { to: int(1) }),
      node("Mul", ["ms", "sm"], "fm"),
      node("Mul", ["yf", "fm"], "y"),
    ].map((each) =>
      each.op === "DynamicQuantizeLinear"
        ? { ...each, outputs: each.outputs.flatMap((name) => [name, `${name[0]}s`, `${name[0]}z`]) }
        : each,
    ),
    {
      ...weights,
      wm: randomBytes("int8", [8, 5], [-60, 60], 3),
      zm: byte("int8", 3),
      sm: scalarTensor(0.02),
    },
  );
}

function linear(): Graph {
  return smallGraph(
    ["N", 3, 8, 8],
    [
      node("QuantizeLinear", ["x", "sx", "zx"], "xq"),
      node("QLinearConv", ["xq", "sx", "zx", "w1", "s1", "z1", "sc", "zero", "b1"], "c1q", window),
      node("QLinearConv", ["c1q", "sc", "zero", "w2", "s2", "z2", "sy", "zy"], "c2q", window),
      node("Flatten", ["c2q"], "fq", { axis: int(1) }),
      node("QLinearMatMul", ["fq", "sy", "zy", "wm", "sm", "zm", "sz", "zy"], "yq"),
      node("DequantizeLinear", ["yq", "sz", "zy"], "y"),
    ],
    {
      ...weights,
      sx: scalarTensor(1 / 128),
      zx: byte("uint8", 128),
      b1: int32Tensor([8], [100, -200, 300, 0, 50, 0, 0, 10]),
      sc: scalarTensor(0.05),
      zero: byte("uint8", 0),
      sy: scalarTensor(0.05),
      zy: byte("uint8", 128),
      wm: randomBytes("int8", [4 * 64, 5], [-60, 60], 3),
      zm: byte("int8", 0),
      sm: scalarTensor(0.002),
      sz: scalarTensor(0.1),
    },
  );
}

/** A residual block and a classifier as ONNX Runtime's quantizer writes them, with operators of its own. */
function withRuntimeOperators(): Graph {
  const fused = (op: string, inputs: readonly string[], output: string): Node => ({
    ...node(op, inputs, output),
    domain: "com.microsoft",
  });
  const graph = smallGraph(
    ["N", 3, 8, 8],
    [
      node("QuantizeLinear", ["x", "sx", "zx"], "xq"),
      node("QLinearConv", ["xq", "sx", "zx", "w1", "s1", "z1", "sc", "zero"], "aq", window),
      node("QLinearConv", ["aq", "sc", "zero", "w3", "s2", "z2", "sc", "zx"], "bq", window),
      fused("QLinearAdd", ["aq", "sc", "zero", "bq", "sc", "zx", "sc", "zero"], "cq"),
      fused("QLinearGlobalAveragePool", ["cq", "sc", "zero", "sg", "zero"], "gq"),
      node("Flatten", ["gq"], "fq", { axis: int(1) }),
      fused("QGemm", ["fq", "sg", "zero", "wm", "sm", "z2", "bm", "sy", "zx"], "yq"),
      node("DequantizeLinear", ["yq", "sy", "zx"], "y"),
    ],
    {
      ...weights,
      w3: randomBytes("int8", [8, 8, 3, 3], [-60, 60], 4),
      sx: scalarTensor(1 / 128),
      zx: byte("uint8", 128),
      sc: scalarTensor(0.05),
      zero: byte("uint8", 0),
      sg: scalarTensor(0.02),
      wm: randomBytes("int8", [8, 5], [-60, 60], 3),
      sm: scalarTensor(0.01),
      bm: int32Tensor([5], [100, -200, 300, 0, 50]),
      sy: scalarTensor(0.03),
    },
  );
  return { ...graph, opsets: new Map([...graph.opsets, ["com.microsoft", 1]]) };
}

interface Expected {
  readonly graph: Graph;
  readonly constants: number;
  readonly values: number;
  readonly bounded: number;
  readonly convolutions: number;
  /** Largest difference from the quantized network's outputs, as a share of their largest. */
  readonly tolerance: number;
}

const networks: Readonly<Record<string, Expected>> = {
  "weights only": {
    graph: weightsOnly(),
    constants: 2,
    values: 0,
    bounded: 0,
    convolutions: 2,
    tolerance: 1e-6,
  },
  pairs: { graph: pairs(), constants: 3, values: 3, bounded: 1, convolutions: 2, tolerance: 0.04 },
  "dynamic quantization": {
    graph: dynamic(),
    constants: 2,
    values: 2,
    bounded: 0,
    convolutions: 1,
    tolerance: 0.03,
  },
  "operators on quantized numbers": {
    graph: linear(),
    constants: 4,
    values: 4,
    bounded: 1,
    convolutions: 2,
    tolerance: 0.06,
  },
  "operators of ONNX Runtime": {
    graph: withRuntimeOperators(),
    constants: 4,
    values: 6,
    bounded: 2,
    convolutions: 2,
    tolerance: 0.06,
  },
};

for (const [name, expected] of Object.entries(networks)) {
  test(`${name}: the float32 network behind it`, async () => {
    const { graph, left, constants, values, bounded } = dequantize(expected.graph);
    assert.deepEqual(left, []);
    assert.deepEqual(
      { constants, values, bounded },
      { constants: expected.constants, values: expected.values, bounded: expected.bounded },
    );
    verifyTypes(graph);
    const imported = importModel(graph, { verify: true });
    assert.ok(imported.nodes.every(({ op }) => !/Quantize|Integer|QLinear|Cast/.test(op)));
    const layers = convolutions(imported).map((conv) => denseLayer(imported, conv));
    assert.equal(layers.length, expected.convolutions);
    for (const layer of layers) assert.equal(typeof layer, "object", String(layer));

    const feeds = new Map([["x", randomTensor([2, 3, 8, 8], 5)]]);
    const run = async (network: Graph): Promise<Float32Array> => {
      const y = (await runGraph(network, feeds, { optimization: "disabled", threads: 1 })).get("y");
      assert.ok(y !== undefined && elementCount(y.dims) > 0);
      return float32Data(y);
    };
    const [quantized, real] = [await run(expected.graph), await run(imported)];
    assert.equal(real.length, quantized.length);
    const largest = quantized.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest > 0.1);
    quantized.forEach((value, at) => {
      const difference = Math.abs(value - (real[at] ?? Number.NaN));
      assert.ok(difference <= expected.tolerance * largest, `y[${at}]: ${value} became ${real[at]}`);
    });
  });
}

test("what cannot be taken back stays, and is named", async () => {
  const graph = smallGraph(
    [1, 4],
    [
      node("QuantizeLinear", ["x", "scale", "zero"], "q"),
      node("Cast", ["q"], "f", { to: int(1) }),
      node("Sqrt", ["f"], "y"),
    ],
    { scale: scalarTensor(0.1), zero: byte("uint8", 10) },
  );
  const { graph: same, left } = dequantize(graph);
  assert.deepEqual(
    left.map(({ op }) => op),
    ["QuantizeLinear"],
  );
  const feeds = new Map([["x", float32Tensor([1, 4], [0.1, 2, -0.3, 1])]]);
  const [before, after] = [await runGraph(graph, feeds), await runGraph(same, feeds)];
  assert.deepEqual(after, before);
});

test("a weight that is rounded by a pair keeps its rounding", () => {
  const graph = smallGraph(
    [1, 2],
    [
      node("QuantizeLinear", ["w", "scale", "zero"], "q"),
      node("DequantizeLinear", ["q", "scale", "zero"], "wd"),
      node("Add", ["x", "wd"], "y"),
    ],
    { w: float32Tensor([2], [0.34, 1.25]), scale: scalarTensor(0.5), zero: byte("int8", 0) },
  );
  const { graph: real } = dequantize(graph);
  const [name = ""] = real.nodes[0]?.inputs.slice(1) ?? [];
  const tensor = real.initializers.get(name);
  assert.ok(tensor !== undefined);
  // 0.68 and 2.5 half steps: the nearest, and the even one of two.
  assert.deepEqual([...float32Data(tensor)], [0.5, 1]);
});

test("two scales, one to round and another to multiply with, are left as they are", () => {
  const graph = smallGraph(
    [1, 2],
    [node("QuantizeLinear", ["x", "one", "zero"], "q"), node("DequantizeLinear", ["q", "two", "zero"], "y")],
    { one: scalarTensor(0.5), two: scalarTensor(0.25), zero: byte("int8", 0) },
  );
  assert.equal(dequantize(graph).left.length, 2);
});

test("two zero points, one to round and another to subtract, are left as they are", () => {
  const graph = smallGraph(
    [1, 2],
    [node("QuantizeLinear", ["x", "s", "five"], "q"), node("DequantizeLinear", ["q", "s", "six"], "y")],
    { s: scalarTensor(0.5), five: byte("int8", 5), six: byte("int8", 6) },
  );
  assert.equal(dequantize(graph).left.length, 2);
});

test("the same step in a scalar and for each channel is the same", () => {
  const graph = smallGraph(
    [1, 2],
    [
      node("QuantizeLinear", ["x", "s"], "q"),
      node("DequantizeLinear", ["q", "ss", "zeros"], "y", { axis: int(1) }),
    ],
    { s: scalarTensor(0.5), ss: float32Tensor([2], [0.5, 0.5]), zeros: bytesTensor("uint8", [2], [0, 0]) },
  );
  assert.deepEqual(dequantize(graph).left, []);
});

/** A convolution that takes the integers of x for other numbers than they were rounded from. */
const misread = node("QLinearConv", ["q", "s2", "five", "w1", "s1", "z1", "sc", "zc"], "c", window);

test("a product that takes integers for other numbers than they were rounded from gives what it gave", async () => {
  const graph = smallGraph(
    [1, 3, 8, 8],
    [
      node("QuantizeLinear", ["x", "s", "zero"], "q"),
      misread,
      node("DequantizeLinear", ["c", "sc", "zc"], "y"),
    ],
    {
      ...weights,
      s: scalarTensor(1 / 64),
      zero: byte("uint8", 100),
      s2: scalarTensor(1 / 40),
      five: byte("uint8", 105),
      sc: scalarTensor(0.1),
      zc: byte("uint8", 128),
    },
  );
  const feeds = new Map([["x", randomTensor([1, 3, 8, 8], 5)]]);
  const { graph: real } = dequantize(graph);
  const [before, after] = [await runGraph(graph, feeds), await runGraph(real, feeds)];
  const [expected, found] = [before, after].map((outputs) =>
    float32Data(outputs.get("y") ?? scalarTensor(0)),
  );
  assert.equal(found?.length, expected?.length);
  expected?.forEach((value, at) => {
    assert.ok(Math.abs(value - (found?.[at] ?? Number.NaN)) < 0.06, `y[${at}]: ${value}, ${found?.[at]}`);
  });
});

test("sums of integers whose data were not quantized for them stay as they are", async () => {
  const graph = smallGraph(
    [3, 8],
    [
      node("QuantizeLinear", ["x", "s", "zero"], "q"),
      node("MatMulInteger", ["q", "w", "zero", "none"], "sums"),
      node("Cast", ["sums"], "f", { to: int(1) }),
      node("Mul", ["f", "s"], "y"),
    ],
    {
      s: scalarTensor(0.02),
      zero: byte("uint8", 110),
      none: byte("int8", 0),
      w: randomBytes("int8", [8, 5], [-60, 60], 3),
    },
  );
  const { graph: same, left } = dequantize(graph);
  verifyTypes(same);
  assert.deepEqual(
    left.map(({ op }) => op),
    ["QuantizeLinear", "MatMulInteger"],
  );
  const feeds = new Map([["x", randomTensor([3, 8], 5)]]);
  assert.deepEqual(await runGraph(same, feeds), await runGraph(graph, feeds));
});

/** `linear` with the bias, or the scale of the data, of its first convolution computed from the pictures. */
function computed(what: "bias" | "scale"): Graph {
  const graph = linear();
  const ofPictures = [
    node("ReduceMax", ["x"], "largest", { keepdims: int(0) }),
    node("Mul", ["largest", what === "bias" ? "steps" : "share"], "number"),
    ...(what === "bias"
      ? [node("Add", ["number", "parts"], "sum"), node("Cast", ["sum"], "bc", { to: int(6) })]
      : []),
  ];
  const nodes = graph.nodes.map((each) => {
    if (what === "scale")
      return { ...each, inputs: each.inputs.map((name) => (name === "sx" ? "number" : name)) };
    return { ...each, inputs: each.inputs.map((name) => (name === "b1" ? "bc" : name)) };
  });
  const constants: [string, Tensor][] = [
    ["steps", scalarTensor(20_000)],
    ["share", scalarTensor(1 / 64)],
    ["parts", float32Tensor([8], [0, 9000, -9000, 0, 500, 0, 0, 100])],
  ];
  return {
    ...graph,
    nodes: [...ofPictures, ...nodes],
    initializers: new Map([...graph.initializers, ...constants]),
  };
}

for (const what of ["bias", "scale"] as const) {
  test(`a convolution with a computed ${what} stays, and gives what it gave`, async () => {
    const graph = computed(what);
    const { graph: mixed, left } = dequantize(graph);
    assert.ok(left.some(({ op }) => op === "QLinearConv"));
    const feeds = new Map([["x", randomTensor([2, 3, 8, 8], 5)]]);
    const run = async (network: Graph): Promise<Float32Array> => {
      const y = (await runGraph(network, feeds, { optimization: "disabled", threads: 1 })).get("y");
      assert.ok(y !== undefined);
      return float32Data(y);
    };
    const [before, after] = [await run(graph), await run(mixed)];
    const largest = before.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest > 0.1);
    before.forEach((value, index) => {
      const difference = Math.abs(value - (after[index] ?? Number.NaN));
      assert.ok(difference <= 0.06 * largest, `y[${index}]: ${value} became ${after[index]}`);
    });
  });
}
