import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { float, int, ints, text } from "../../src/graph/attributes.js";
import { bfloat16Bits, bfloat16ToNumber } from "../../src/graph/bfloat16.js";
import { float32ToFloat16 } from "../../src/graph/float16.js";
import { elementCount, float32Data, int64Tensor, numericTensor } from "../../src/graph/tensor.js";
import type { Attribute, ElementType, Graph, Tensor } from "../../src/graph/types.js";
import { denseLayer } from "../../src/layers/weights.js";
import { importForCompression } from "../../src/method/import_for_compression.js";
import { assertSameOutputs, Network } from "../../support/network.js";

/** Types by their numbers in ONNX. */
const [FLOAT, BFLOAT16, DOUBLE] = [1, 16, 11];

/** A weight [outputs, inputs, 3, 3] made of constants. */
type Weight = (network: Network, dims: readonly number[]) => string;

/** A network with a convolution whose weight is computed. */
function networkWith(weight: Weight, channels: readonly [number, number] = [6, 3], opset = 17): Graph {
  const [outputs, inputs] = channels;
  const network = new Network(11, [inputs, 7, 7], opset, [1, inputs, 7, 7]);
  const w = weight(network, [outputs, inputs, 3, 3]);
  const y = network.op("Conv", ["x", w], { pads: ints([1, 1, 1, 1]) });
  return network.graph([network.conv(network.relu(y), 4, {})]);
}

/** Folded, every convolution has a constant weight and the network gives the same. */
async function checkFolded(graph: Graph, message: string): Promise<Graph> {
  const imported = importForCompression(graph, { verify: true });
  const [conv] = imported.nodes;
  assert.ok(conv?.op === "Conv", `${message}: ${imported.nodes.map(({ op }) => op).join(", ")}`);
  assert.equal(typeof denseLayer(imported, conv), "object", message);
  const [input] = graph.inputs;
  const channels = input?.type?.shape?.[1];
  assert.ok(typeof channels === "number");
  await assertSameOutputs(graph, imported, new Network(5, [channels, 7, 7]).feeds(1), 1e-5);
  return imported;
}

const longs = (network: Network, ...values: number[]): string => network.b.axes(values);

const keep = { axes: ints([1, 2, 3]), keepdims: int(1) };

const weightNormalisation: Weight = (network, dims) => {
  const v = network.parameter("v", dims);
  const g = network.parameter("g", [dims[0] ?? 1, 1, 1, 1], 0.5, 2);
  const squares = network.op("Pow", [v, network.b.scalar(2)]);
  const sum = network.op("ReduceSum", [squares, longs(network, 1, 2, 3)], { keepdims: int(1) });
  return network.op("Mul", [g, network.op("Div", [v, network.op("Sqrt", [sum])])]);
};

const weightStandardisation: Weight = (network, dims) => {
  const v = network.parameter("v", dims);
  const centred = network.op("Sub", [v, network.op("ReduceMean", [v], keep)]);
  const variance = network.op("ReduceMean", [network.op("Mul", [centred, centred])], keep);
  const deviation = network.op("Sqrt", [network.op("Add", [variance, network.b.scalar(1e-5)])]);
  const gain = network.parameter("gain", [dims[0] ?? 1, 1, 1, 1]);
  return network.op("Mul", [network.op("Div", [centred, deviation]), gain]);
};

const cast = (network: Network, x: string, to: number): string => network.op("Cast", [x], { to: int(to) });

/** The weight stored as another type, behind a Cast. */
function stored(type: ElementType, convert: (tensor: Tensor) => Tensor | undefined): Weight {
  return (network, dims) => {
    const tensor = network.b.initializers.get(network.parameter("w", dims));
    const converted = tensor === undefined ? undefined : convert(tensor);
    assert.equal(converted?.type, type);
    assert.ok(converted !== undefined);
    network.b.setInitializer("stored", converted);
    return cast(network, "stored", FLOAT);
  };
}

const numbersOf = (tensor: Tensor): number[] => [...float32Data(tensor)];

const weights: ReadonlyMap<string, Weight> = new Map([
  [
    "a sum of products by Einsum",
    (network, [K = 1, ...rest]) =>
      network.op("Einsum", [network.parameter("u", [K, 4]), network.parameter("v", [4, ...rest])], {
        equation: text("or,rihw->oihw"),
      }),
  ],
  [
    "kernels replaced by ScatterND",
    (network, dims) => {
      const places = network.b.constant("places", int64Tensor([2, 1], [0, 3]));
      return network.op("ScatterND", [
        network.parameter("v", dims),
        places,
        network.parameter("u", [2, ...dims.slice(1)]),
      ]);
    },
  ],
  ["a triangle", (network, dims) => network.op("Trilu", [network.parameter("v", dims)])],
  [
    "columns gathered by GatherElements",
    (network, dims) => {
      const last = int64Tensor(
        dims,
        Array.from({ length: elementCount(dims) }, (_, at) => 2 - (at % 3)),
      );
      const mirrored = [network.parameter("v", dims), network.b.constant("last", last)];
      return network.op("GatherElements", mirrored, { axis: int(3) });
    },
  ],
  ["weight normalisation", weightNormalisation],
  ["weight standardisation", weightStandardisation],
  [
    "weight standardisation by training normalisation",
    (network, dims) => {
      const [K = 1] = dims;
      const rows = network.op("Reshape", [network.parameter("v", dims), longs(network, 1, K, -1)]);
      const ones = network.b.floats("ones", [K], new Float32Array(K).fill(1));
      // Not one constant for both: ONNX Runtime 1.30 writes the new mean over the shift before it is read.
      const [shift, mean] = ["shift", "mean"].map((stem) => network.b.floats(stem, [K], new Float32Array(K)));
      const gain = network.parameter("gain", [K]);
      const y = network.b.emit("BatchNormalization", [rows, gain, shift ?? "", mean ?? "", ones], {
        attributes: { training_mode: int(1), epsilon: float(1e-4) },
        outputs: ["standard", "newMean", "newVariance"],
      });
      return network.op("Reshape", [y, longs(network, ...dims)]);
    },
  ],
  [
    "norm with a bound, expanded",
    (network, dims) => {
      const v = network.parameter("v", dims);
      const norm = network.op("ReduceL2", [v], keep);
      const bounded = network.op("Clip", [norm, network.b.scalar(1e-12)]);
      const expanded = network.op("Expand", [bounded, network.op("Shape", [v])]);
      return network.op("Div", [v, expanded]);
    },
  ],
  [
    "spectral normalisation",
    (network, dims) => {
      const [K = 1, ...rest] = dims;
      const columns = elementCount(rest);
      const v = network.parameter("v", dims);
      const matrix = network.op("Reshape", [v, longs(network, K, columns)]);
      const left = network.parameter("left", [1, K]);
      const right = network.parameter("right", [columns, 1]);
      const sigma = network.op("MatMul", [network.op("MatMul", [left, matrix]), right]);
      return network.op("Div", [v, network.op("Squeeze", [sigma])]);
    },
  ],
  [
    "parts",
    (network, [K = 1, C = 1, ...rest]) => {
      const halves = [2, K - 2].map((outputs) => network.parameter("part", [C, outputs, ...rest]));
      const turned = halves.map((half) => network.op("Transpose", [half], { perm: ints([1, 0, 2, 3]) }));
      return network.op("Concat", turned, { axis: int(0) });
    },
  ],
  [
    "a part of more, padded and mirrored",
    (network, [K = 1, C = 1]) => {
      const more = network.parameter("more", [K, C + 2, 3, 2]);
      const part = network.op("Slice", [more, longs(network, 1), longs(network, C + 1), longs(network, 1)]);
      const padded = network.op("Pad", [part, longs(network, 0, 0, 0, 0, 0, 0, 0, 1)]);
      const order = network.b.constant("order", int64Tensor([3], [2, 0, 1]));
      return network.op("Gather", [padded, order], { axis: int(3) });
    },
  ],
  [
    "a mask",
    (network, dims) => {
      const v = network.parameter("v", dims);
      const keeps = network.op("Greater", [network.parameter("score", dims), network.b.scalar(0)]);
      return network.op("Where", [keeps, v, network.b.scalar(0)]);
    },
  ],
  [
    "low rank",
    (network, dims) => {
      const [K = 1, ...rest] = dims;
      const product = network.op("MatMul", [
        network.parameter("a", [K, 2]),
        network.parameter("b", [2, elementCount(rest)]),
      ]);
      return network.op("Add", [
        network.parameter("w", dims),
        network.op("Reshape", [product, longs(network, ...dims)]),
      ]);
    },
  ],
  ["float16", stored("float16", float32ToFloat16)],
  ["bfloat16", stored("bfloat16", (tensor) => numericTensor("bfloat16", tensor.dims, numbersOf(tensor)))],
  ["float64", stored("float64", (tensor) => numericTensor("float64", tensor.dims, numbersOf(tensor)))],
  [
    "whole numbers and a scale",
    (network, dims) => {
      const whole = network.b.initializers.get(network.parameter("w", dims, -127, 127));
      assert.ok(whole !== undefined);
      const integers = numericTensor("int32", dims, numbersOf(whole).map(Math.round));
      assert.ok(integers !== undefined);
      network.b.setInitializer("integers", integers);
      return network.op("Mul", [cast(network, "integers", FLOAT), network.b.scalar(1 / 127)]);
    },
  ],
  [
    "float64 arithmetic",
    (network, dims) => {
      const v = cast(network, network.parameter("v", dims), DOUBLE);
      const sum = network.op("ReduceSumSquare", [v], keep);
      return cast(network, network.op("Div", [v, network.op("Sqrt", [sum])]), FLOAT);
    },
  ],
]);

for (const [name, weight] of weights) {
  test(`a weight computed from constants is a weight: ${name}`, async () => {
    await checkFolded(networkWith(weight), "small");
    await checkFolded(networkWith(weight, [48, 32]), "large");
  });
}

test("what bfloat16 rounds away is away", () => {
  const graph = networkWith((network, dims) =>
    cast(network, cast(network, network.parameter("w", dims), BFLOAT16), FLOAT),
  );
  const imported = importForCompression(graph);
  const found = imported.initializers.get(imported.nodes[0]?.inputs[1] ?? "");
  const given = graph.initializers.get("w");
  assert.ok(found !== undefined && given !== undefined);
  assert.deepEqual(
    numbersOf(found),
    numbersOf(given).map((value) => bfloat16ToNumber(bfloat16Bits(value))),
  );
  // 1 + 2^-8 lies between 1 and 1 + 2^-7; ties go to the even one.
  assert.equal(bfloat16ToNumber(bfloat16Bits(1 + 2 ** -8)), 1);
  assert.equal(bfloat16ToNumber(bfloat16Bits(1 + 3 * 2 ** -8)), 1 + 2 ** -6);
  assert.equal(bfloat16ToNumber(bfloat16Bits(Number.NEGATIVE_INFINITY)), Number.NEGATIVE_INFINITY);
  assert.ok(Number.isNaN(bfloat16ToNumber(bfloat16Bits(Number.NaN))));
});

/** The operators that are left of a network x + f(constants), with a f of growing size. */
function leftOf(op: string, inputs: (network: Network) => readonly string[], width: number): Graph {
  const network = new Network(3, [3, width], 17, [1, 3, width]);
  const made = network.op(op, inputs(network), attributesOf(op));
  return importForCompression(network.graph([network.op("Add", ["x", made])]));
}

const attributesOf = (op: string): Record<string, Attribute> => {
  const one = numericTensor("float32", [1], [1]);
  assert.ok(one !== undefined);
  return op === "ConstantOfShape" ? { value: { kind: "tensor", value: one } } : {};
};

test("what makes much out of little stays as it is", () => {
  const makers: Readonly<Record<string, (width: number) => (network: Network) => readonly string[]>> = {
    Tile: (width) => (network) => [network.parameter("w", [3, 1]), longs(network, 1, width)],
    Expand: (width) => (network) => [network.parameter("w", [3, 1]), longs(network, 3, width)],
    ConstantOfShape: (width) => (network) => [longs(network, 3, width)],
  };
  for (const [op, inputs] of Object.entries(makers)) {
    const large = leftOf(op, inputs(2 ** 19), 2 ** 19);
    assert.deepEqual(
      large.nodes.map((node) => node.op),
      [op, "Add"],
    );
    const elements = [...large.initializers.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
    assert.ok(elements < 100, `${elements} elements`);
    assert.equal(leftOf(op, inputs(2 ** 8), 2 ** 8).nodes.length, 1, `${op}, small`);
  }
});

test("all that grows together stays within the bound", () => {
  const width = 2 ** 14;
  const network = new Network(3, [3, width], 17, [1, 3, width]);
  const parts = Array.from({ length: 60 }, () =>
    network.op("Tile", [network.parameter("w", [3, 1]), longs(network, 1, width)]),
  );
  const imported = importForCompression(network.graph([network.op("Sum", ["x", ...parts])]));
  const elements = [...imported.initializers.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  assert.ok(elements < 2 ** 18 + 2 ** 10, `${elements} elements`);
});

test("random numbers are drawn when the model runs", async () => {
  const network = new Network(3, [3, 4], 17, [1, 3, 4]);
  const noise = network.b.emit("RandomNormal", [], {
    attributes: { shape: ints([3, 4]) },
    types: [{ elementType: "float32", shape: [3, 4] }],
  });
  network.b.setInitializer("isTraining", numericTensor("bool", [], [1]) ?? int64Tensor([], [1]));
  const dropped = network.op("Dropout", [
    network.parameter("w", [3, 4]),
    network.b.scalar(0.5),
    "isTraining",
  ]);
  const like = network.op("Bernoulli", [network.b.floats("half", [3, 4], new Float32Array(12).fill(0.5))]);
  const imported = importForCompression(network.graph([network.op("Sum", ["x", noise, dropped, like])]));
  assert.deepEqual(
    imported.nodes.map(({ op }) => op),
    ["RandomNormal", "Dropout", "Bernoulli", "Sum"],
  );
  await runGraph(imported, network.feeds(1));
});

test("integers that float32 does not hold are not computed in it", async () => {
  const network = new Network(3, [3], 17, [1, 3]);
  const large = network.b.constant("large", int64Tensor([5000], Array(5000).fill(2 ** 24)));
  const odd = network.op("Add", [large, network.b.constant("one", int64Tensor([1], [1]))]);
  const rest = network.op("Mod", [odd, network.b.constant("two", int64Tensor([1], [2]))]);
  const sum = network.op("ReduceSum", [cast(network, rest, FLOAT)]);
  const graph = network.graph([network.op("Add", ["x", sum])]);
  await assertSameOutputs(graph, importForCompression(graph), network.feeds(1));
});

test("a weight that is only stored in 8 bits is a weight of float32", async () => {
  const graph = networkWith((network, dims) => {
    const bytes = new Uint8Array(elementCount(dims)).fill(7);
    network.b.setInitializer("quantized", { type: "int8", dims, bytes });
    return network.b.emit("DequantizeLinear", ["quantized", network.b.scalar(0.1)], {
      types: [{ elementType: "float32", shape: dims }],
    });
  });
  const imported = await checkFolded(graph, "int8");
  assert.ok(!imported.nodes.some(({ op }) => op === "DequantizeLinear"));
});
