import assert from "node:assert/strict";
import { test } from "node:test";
import { compileToWasm } from "../../src/compile/index.js";
import { runGraph } from "../../src/execute/node.js";
import { int, ints, text } from "../../src/graph/attributes.js";
import { float32Data, float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Attribute, Graph } from "../../src/graph/types.js";
import { shrink } from "../../src/method/shrink.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { tensorType } from "../../src/ops/inference/infer.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { assertSameOutputs, Network } from "../../support/network.js";
import { constant, type OpCase, type OwnInput, omitted, random, testOps } from "../../support/opcase.js";
import { graphOf, nodeOf } from "../../support/random_graph.js";
import { contractCases } from "../compile/cases/index.js";
import { runModule } from "../compile/run_wasm.js";

/** Of these, one output more is another node. */
const COUNTED = ["DynamicQuantizeLinear", "If", "Loop", "Scan", "Split", "TopK"];

/** The graph with omitted inputs and outputs at the end of every node's lists. */
function padded(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: [...node.inputs, "", ""],
    outputs: COUNTED.includes(node.op) ? node.outputs : [...node.outputs, ""],
  }));
  return { ...graph, nodes };
}

test("omitted inputs and outputs at the end of a list are read as if they were not there", () => {
  for (const { name, graph } of contractCases) {
    const plain = decodeModel(encodeModel(graph));
    assert.deepEqual(decodeModel(encodeModel(padded(graph))), plain, name);
    assert.deepEqual(importModel(padded(graph)), importModel(graph), name);
  }
});

const longs = (...values: number[]): OwnInput => constant(int64Tensor([values.length], values));
const scalar = (value: number): OwnInput => constant(float32Tensor([], [value]));
const vector = (...values: number[]): OwnInput => constant(float32Tensor([values.length], values));

/** Each operator that has optional inputs, with every one of them omitted in front of one that is given, and at the end. */
const omissions: readonly OpCase[] = [
  { op: "Clip", name: "without a lower bound", inputs: [random([2, 3], -2, 2, [1]), omitted, scalar(1)] },
  { op: "Clip", name: "without bounds", inputs: [random([2, 3]), omitted, omitted] },
  { op: "Conv", inputs: [random([1, 2, 4, 4]), random([3, 2, 2, 2]), omitted] },
  { op: "ConvTranspose", inputs: [random([1, 2, 3, 3]), random([2, 3, 2, 2]), omitted] },
  { op: "Dropout", name: "of a ratio", inputs: [random([2, 3]), scalar(0.5), omitted] },
  { op: "Dropout", inputs: [random([2, 3]), omitted, omitted] },
  { op: "Gemm", inputs: [random([2, 3]), random([3, 4]), omitted] },
  { op: "Pad", name: "by 0", inputs: [random([2, 3]), longs(0, 1, 1, 0), omitted], opset: 18 },
  { op: "Pad", name: "along axes", inputs: [random([2, 3]), longs(1, 2), omitted, longs(1)], opset: 18 },
  { op: "ReduceMean", inputs: [random([2, 3]), omitted], opset: 18 },
  { op: "ReduceSum", inputs: [random([2, 3]), omitted] },
  {
    op: "Resize",
    name: "by scales",
    inputs: [random([1, 2, 3, 3]), omitted, vector(1, 1, 2, 2), omitted],
    attributes: { mode: text("linear") },
  },
  {
    op: "Resize",
    name: "to sizes",
    inputs: [random([1, 2, 3, 3]), omitted, omitted, longs(1, 2, 5, 7)],
    attributes: { mode: text("linear") },
  },
  {
    op: "Slice",
    name: "without axes",
    inputs: [random([4, 5]), longs(0, 1), longs(4, 5), omitted, longs(2, 3)],
  },
  { op: "Slice", name: "without steps", inputs: [random([4, 5]), longs(1), longs(4), longs(1), omitted] },
  { op: "Slice", name: "of the first axes", inputs: [random([4, 5]), longs(1), longs(3), omitted, omitted] },
  { op: "Split", inputs: [random([4, 6]), omitted], outputs: 2, attributes: { axis: int(1) } },
];

testOps(omissions);

test("omissions on which ONNX Runtime 1.30 fails are computed", async () => {
  const x = float32Tensor([1, 2], [3, 5]);
  const nodes = [
    nodeOf("LayerNormalization", ["x", "scale", ""], ["normalized"]),
    nodeOf("Squeeze", ["normalized", ""], ["y"]),
  ];
  const graph = graphOf({
    opsets: new Map([["", 17]]),
    inputs: [{ name: "x", type: tensorType(x) }],
    outputs: [{ name: "y", type: undefined }],
    initializers: new Map([["scale", float32Tensor([2], [2, 4])]]),
    nodes,
  });
  const y = (await runGraph(decodeModel(encodeModel(graph)), new Map([["x", x]]))).get("y");
  assert.ok(y !== undefined);
  assert.deepEqual(y.dims, [2]);
  float32Data(y).forEach((value, at) => {
    assert.ok(Math.abs(value - (at === 0 ? -2 : 4)) < 1e-4, `${at}: ${value}`);
  });
});

/** A network whose middle node is the given one, between convolutions with channels that can go. */
function around(
  op: string,
  inputs: readonly string[],
  attributes: Record<string, Attribute>,
  outputs?: readonly string[],
): Graph {
  const network = new Network(7, [3, 8, 8], 18, [1, 3, 8, 8]);
  const { b } = network;
  b.setInitializer("upper", float32Tensor([], [1]));
  b.setInitializer("ratio", float32Tensor([], [0.5]));
  b.setInitializer("scales", float32Tensor([4], [1, 1, 2, 2]));
  b.setInitializer("ones", float32Tensor([8], new Float32Array(8).fill(1)));
  b.setInitializer("pads", int64Tensor([2], [1, 2]));
  b.setInitializer("width", int64Tensor([1], [3]));
  const before = network.relu(network.conv("x", 8, { pad: 1, deadOutputs: [1, 2] }));
  const y = b.emit(op, [before, ...inputs], { attributes, outputs: outputs ?? ["middle"] });
  const after = network.conv(y, 4, { deadInputs: [5] });
  return network.graph([after]);
}

const networks: ReadonlyMap<string, Graph> = new Map([
  ["Clip", around("Clip", ["", "upper", ""], {})],
  ["Dropout, no mask", around("Dropout", ["ratio", ""], {}, ["middle", ""])],
  ["Dropout, a mask that nobody reads", around("Dropout", ["ratio", ""], {}, ["middle", "mask"])],
  ["MaxPool, no indices", around("MaxPool", [""], { kernel_shape: ints([2, 2]) }, ["middle", ""])],
  ["MaxPool, unread", around("MaxPool", [], { kernel_shape: ints([2, 2]) }, ["middle", "indices"])],
  [
    "LayerNormalization, no mean",
    around("LayerNormalization", ["ones", ""], {}, ["middle", "", "deviation"]),
  ],
  ["LayerNormalization, nothing", around("LayerNormalization", ["ones", ""], {}, ["middle", "", ""])],
  ["Resize", around("Resize", ["", "scales", ""], { mode: text("nearest") })],
  ["Pad", around("Pad", ["pads", "", "width"], {})],
]);

/** A node of several outputs, and what is read of it; ONNX Runtime refuses or crashes where the rest is omitted. */
const counted: readonly { op: string; inputs: readonly string[]; outputs: readonly [string, string] }[] = [
  { op: "Split", inputs: [], outputs: ["middle", ""] },
  { op: "Split", inputs: [], outputs: ["", "middle"] },
  { op: "Split", inputs: ["parts"], outputs: ["middle", ""] },
  { op: "Split", inputs: ["parts"], outputs: ["", "middle"] },
  { op: "TopK", inputs: ["k"], outputs: ["middle", ""] },
];

for (const { op, inputs, outputs } of counted) {
  test(`outputs that are there although omitted: ${op}(${inputs}), ${JSON.stringify(outputs)}`, async () => {
    const graphWith = (names: readonly string[]): Graph => {
      const network = new Network(7, [8, 6, 6], 17, [1, 8, 6, 6]);
      network.b.setInitializer("parts", int64Tensor([2], [4, 4]));
      network.b.setInitializer("k", int64Tensor([1], [4]));
      network.b.emit(op, ["x", ...inputs], { attributes: { axis: int(1) }, outputs: names });
      return network.graph([network.conv(network.relu("middle"), 4)]);
    };
    const omitted = decodeModel(encodeModel(graphWith(outputs)));
    const named = decodeModel(encodeModel(graphWith(outputs.map((name) => name || "rest"))));
    const feeds = new Network(8, [8, 6, 6]).feeds(1);
    await assertSameOutputs(named, omitted, feeds);
    await assertSameOutputs(named, shrink(importModel(omitted)), feeds);
    const x = feeds.get("x");
    assert.ok(x !== undefined);
    const values = new Map([["x", float32Data(x)]]);
    assert.deepEqual(runModule(compileToWasm(omitted), values), runModule(compileToWasm(named), values));
  });
}

for (const [name, graph] of networks) {
  test(`shrinking and compiling: ${name}`, async () => {
    const feeds = new Network(8, [3, 8, 8]).feeds(1);
    const read = decodeModel(encodeModel(graph));
    const imported = importModel(read);
    await assertSameOutputs(read, shrink(imported), feeds);
    const expected = await runGraph(read, feeds, { threads: 1 });
    const x = feeds.get("x");
    assert.ok(x !== undefined);
    const found = runModule(compileToWasm(read), new Map([["x", float32Data(x)]]));
    for (const [output, tensor] of expected) {
      const values = found.get(output);
      float32Data(tensor).forEach((value, at) => {
        const other = values?.[at] ?? Number.NaN;
        assert.ok(Math.abs(value - other) <= 1e-5 + 1e-4 * Math.abs(value), `${output}[${at}]`);
      });
    }
  });
}
