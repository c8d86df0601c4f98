import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { float, floats, int, ints, text } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Attribute, Graph, Node, Shape, Tensor } from "../../src/graph/types.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { upgradeOpset } from "../../src/ops/passes/upgrade_opset.js";
import { buildTrainingStep } from "../../src/train/step.js";
import { filled, graphOf, nodeOf } from "../../support/random_graph.js";

interface Upgrade {
  readonly what: string;
  readonly opset: number;
  readonly op: string;
  readonly x: Tensor;
  /** The declared shape of the input, where it is not that of `x`. */
  readonly declared?: Shape | "unknown";
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Inputs after x. */
  readonly constants?: readonly Tensor[];
  readonly outputs?: number;
  /** Operators of the upgraded graph; by default the same one. */
  readonly becomes?: readonly string[];
}

const floatsOf = (...values: number[]) => float32Tensor([values.length], values);
const bounds = { min: float(-0.5), max: float(0.25) };

const upgrades: readonly Upgrade[] = [
  {
    what: "Slice with axes",
    opset: 9,
    op: "Slice",
    x: filled(3, 4, 5),
    attributes: { starts: ints([1, -3]), ends: ints([2 ** 63, -1]), axes: ints([2, 1]) },
  },
  {
    what: "Slice of the first axes",
    opset: 7,
    op: "Slice",
    x: filled(3, 4, 5),
    attributes: { starts: ints([1, 0]), ends: ints([3, -2]) },
  },
  { what: "Clip", opset: 7, op: "Clip", x: filled(3, 4), attributes: bounds },
  {
    what: "Clip from below",
    opset: 10,
    op: "Clip",
    x: float32Tensor([4], [-Infinity, -1, 2, Infinity]),
    attributes: { min: float(0.1) },
  },
  {
    what: "Clip without bounds",
    opset: 10,
    op: "Clip",
    x: float32Tensor([3], [-Infinity, 2, Infinity]),
  },
  {
    what: "Pad",
    opset: 7,
    op: "Pad",
    x: filled(2, 3),
    attributes: { pads: ints([1, 0, 0, -1]), value: float(0.3) },
  },
  { what: "Pad with zeros", opset: 10, op: "Pad", x: filled(2, 3), attributes: { pads: ints([0, 1, 2, 0]) } },
  {
    what: "Pad by reflection",
    opset: 10,
    op: "Pad",
    x: filled(3, 4),
    attributes: { pads: ints([1, 2, 0, 1]), mode: text("reflect") },
  },
  {
    what: "Dropout",
    opset: 7,
    op: "Dropout",
    x: filled(2, 3),
    attributes: { ratio: float(0.9) },
    outputs: 2,
  },
  { what: "Dropout", opset: 11, op: "Dropout", x: filled(2, 3) },
  {
    what: "BatchNormalization",
    opset: 7,
    op: "BatchNormalization",
    x: filled(2, 3, 2, 2),
    constants: [filled(3), filled(3), filled(3), floatsOf(0.5, 1, 2)],
    attributes: { epsilon: float(0.01), spatial: int(1) },
  },
  { what: "Squeeze", opset: 12, op: "Squeeze", x: filled(1, 3, 1, 2), attributes: { axes: ints([0, -2]) } },
  { what: "Squeeze of all", opset: 7, op: "Squeeze", x: filled(1, 3, 1, 2) },
  { what: "Unsqueeze", opset: 9, op: "Unsqueeze", x: filled(3, 2), attributes: { axes: ints([0, 3]) } },
  {
    what: "ReduceSum",
    opset: 11,
    op: "ReduceSum",
    x: filled(2, 3, 4),
    attributes: { axes: ints([-1, 0]), keepdims: int(0) },
  },
  { what: "ReduceSum of all", opset: 8, op: "ReduceSum", x: filled(2, 3, 4) },
  {
    what: "Split",
    opset: 12,
    op: "Split",
    x: filled(2, 6),
    attributes: { axis: int(1), split: ints([1, 2, 3]) },
    outputs: 3,
  },
  { what: "Split in halves", opset: 7, op: "Split", x: filled(4, 3), outputs: 2 },
  {
    what: "TopK",
    opset: 9,
    op: "TopK",
    x: filled(3, 5),
    attributes: { axis: int(1), k: int(2) },
    outputs: 2,
  },
  ...["Softmax", "LogSoftmax", "Hardmax"].flatMap((op): Upgrade[] => [
    { what: `${op} of a matrix`, opset: 11, op, x: filled(3, 5) },
    { what: `${op} of the last axis`, opset: 12, op, x: filled(2, 3, 5), attributes: { axis: int(-1) } },
    { what: `${op} before axes of size 1`, opset: 9, op, x: filled(3, 5, 1, 1) },
    ...(["unknown", ["n", 3, 4, "width"], [2, 3, 4, 2]] as const).map((declared) => ({
      what: `${op} of several axes, input ${declared}`,
      opset: 7,
      op,
      x: filled(2, 3, 4, 2),
      declared,
      becomes: ["Flatten", op, "Shape", "Reshape"],
    })),
    {
      what: `${op} of the last two axes`,
      opset: 11,
      op,
      x: filled(2, 3, 4),
      attributes: { axis: int(-2) },
      becomes: ["Flatten", op, "Shape", "Reshape"],
    },
  ]),
  ...["nearest", "linear"].flatMap((mode): Upgrade[] => [
    {
      what: `Upsample 7, ${mode}`,
      opset: 7,
      op: "Upsample",
      x: filled(1, 2, 3, 5),
      attributes: { mode: text(mode), scales: floats([1, 1, 2, 2.7]) },
      becomes: ["Resize"],
    },
    {
      what: `Upsample 9, ${mode}`,
      opset: 9,
      op: "Upsample",
      x: filled(1, 2, 3, 5),
      attributes: { mode: text(mode) },
      constants: [floatsOf(1, 1, 1.5, 3)],
      becomes: ["Resize"],
    },
    {
      what: `Resize 10, ${mode}, larger`,
      opset: 10,
      op: "Resize",
      x: filled(1, 2, 3, 5),
      attributes: { mode: text(mode) },
      constants: [floatsOf(1, 1, 2.3, 1.7)],
    },
    {
      what: `Resize 10, ${mode}, smaller`,
      opset: 10,
      op: "Resize",
      x: filled(1, 2, 7, 9),
      attributes: { mode: text(mode) },
      constants: [floatsOf(1, 1, 0.6, 0.45)],
    },
  ]),
  {
    what: "Resize 10, linear, larger and smaller",
    opset: 10,
    op: "Resize",
    x: filled(1, 2, 7, 9),
    attributes: { mode: text("linear") },
    constants: [floatsOf(1, 1, 0.6, 1.45)],
  },
  {
    what: "Resize 11 to sizes, with empty roi and scales",
    opset: 11,
    op: "Resize",
    x: filled(1, 2, 3, 5),
    attributes: { coordinate_transformation_mode: text("half_pixel"), mode: text("linear") },
    constants: [floatsOf(), floatsOf(), int64Tensor([4], [1, 2, 4, 8])],
  },
  {
    what: "Scatter",
    opset: 9,
    op: "Scatter",
    x: filled(3, 2),
    attributes: { axis: int(0) },
    constants: [int64Tensor([1, 2], [2, 0]), filled(1, 2)],
    becomes: ["ScatterElements"],
  },
  // Forms that stayed as they are.
  { what: "Flatten", opset: 7, op: "Flatten", x: filled(2, 3, 2) },
  { what: "ArgMax", opset: 7, op: "ArgMax", x: filled(2, 5), attributes: { axis: int(1) } },
  { what: "ReduceMean", opset: 9, op: "ReduceMean", x: filled(2, 5), attributes: { axes: ints([1]) } },
  {
    what: "MaxPool",
    opset: 7,
    op: "MaxPool",
    x: filled(1, 2, 5, 5),
    attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
  },
  { what: "Expand", opset: 8, op: "Expand", x: filled(3, 1), constants: [int64Tensor([3], [2, 3, 4])] },
  { what: "Gemm", opset: 7, op: "Gemm", x: filled(2, 3), constants: [filled(3, 4), filled(4)] },
];

function oldGraph({ opset, op, x, declared, attributes, constants = [], outputs = 1 }: Upgrade): Graph {
  const names = constants.map((_, index) => `c${index}`);
  const shape = declared === "unknown" ? undefined : (declared ?? x.dims);
  // The second output of Dropout, its mask, is not read.
  const read = op === "Dropout" ? 1 : outputs;
  const values = Array.from({ length: outputs }, (_, index) => `y${index}`);
  return graphOf({
    opsets: new Map([
      ["", opset],
      ["custom", 3],
    ]),
    inputs: [{ name: "x", type: { elementType: x.type, shape } }],
    outputs: values.slice(0, read).map((name) => ({ name, type: undefined })),
    nodes: [nodeOf(op, ["x", ...names], values, attributes)],
    initializers: new Map(constants.map((tensor, index) => [`c${index}`, tensor])),
  });
}

// Bit for bit: old and new forms are the same arithmetic of the same kernels.
for (const upgrade of upgrades) {
  test(`upgraded from opset ${upgrade.opset}: ${upgrade.what}`, async () => {
    const old = oldGraph(upgrade);
    const upgraded = upgradeOpset(old);
    assert.deepEqual([...upgraded.opsets.values()], [13, 3]);
    assert.deepEqual(
      upgraded.nodes.map((node) => node.op),
      upgrade.becomes ?? [upgrade.op],
    );
    verifyTypes(upgraded);
    const feeds = new Map([["x", upgrade.x]]);
    const options = { optimization: "disabled", threads: 1 } as const;
    const expected = await runGraph(old, feeds, options);
    assert.deepEqual(await runGraph(upgraded, feeds, options), expected);
    assert.deepEqual(await runGraph(simplify(upgraded, { verify: true }), feeds, options), expected);
  });
}

test("a model of opset 13 or later is the same object; other domains have their own versions", () => {
  for (const opset of [13, 17, 21]) {
    const graph = graphOf({ opsets: new Map([["", opset]]) });
    assert.equal(upgradeOpset(graph), graph);
  }
  const custom = graphOf({ opsets: new Map([["custom", 1]]) });
  assert.equal(upgradeOpset(custom), custom);
});

const image = [{ name: "x", type: { elementType: "float32" as const, shape: [1, 2, 4, 4] } }];
const of = (opset: number, node: Node, initializers: Graph["initializers"] = new Map()): Graph =>
  graphOf({
    opsets: new Map([["ai.onnx", opset]]),
    inputs: image,
    outputs: node.outputs.map((name) => ({ name, type: undefined })),
    nodes: [node],
    initializers,
  });

const bodyOf = (...ops: string[]) => ({
  kind: "opaque" as const,
  value: undefined,
  captures: [],
  inner: ops.map((op, index) => ({ name: `inner${index}`, op, domain: "" })),
});

test("a subgraph whose operators mean the same passes through", () => {
  const loop = nodeOf("Loop", ["x"], ["y"], { body: bodyOf("Relu", "Conv") });
  const upgraded = upgradeOpset(of(11, loop));
  assert.deepEqual(upgraded.nodes, [loop]);
  assert.equal(upgraded.opsets.get("ai.onnx"), 13);
});

const scales = (...values: number[]) => new Map([["s", floatsOf(...values)]]);
const refused: readonly (readonly [what: string, graph: Graph, message: RegExp])[] = [
  [
    "a model that is too old",
    of(6, nodeOf("Relu", ["x"], ["y"])),
    /expected opset 7 or later, found opset 6\. Export the model with opset 13/,
  ],
  [
    "a subgraph with an operator that changed",
    of(11, nodeOf("Loop", ["x"], ["y"], { body: bodyOf("Relu", "Softmax") })),
    /node "y\/Loop" \(Loop\): .*subgraph.*found opset 11, with "inner1" \(Softmax\) inside\. Export the model with opset 13/,
  ],
  [
    "normalization per element",
    of(7, nodeOf("BatchNormalization", ["x", "x", "x", "x", "x"], ["y"], { spatial: int(0) })),
    /"y\/BatchNormalization".*found spatial = 0/,
  ],
  ["a mask that is read", of(10, nodeOf("Dropout", ["x"], ["y", "mask"])), /"y\/Dropout".*mask "mask"/],
  [
    "nearest elements, larger and smaller",
    of(10, nodeOf("Resize", ["x", "s"], ["y"]), scales(1, 1, 2, 0.5)),
    /"y\/Resize".*found \[1, 1, 2, 0\.5\]/,
  ],
  [
    "nearest elements, computed scales",
    of(10, nodeOf("Resize", ["x", "x"], ["y"])),
    /scales that are computed/,
  ],
  ["Slice without ranges", of(9, nodeOf("Slice", ["x"], ["y"])), /attribute "starts" is missing/],
];

for (const [what, graph, message] of refused) {
  test(`refused: ${what}`, () => {
    assert.throws(() => upgradeOpset(graph), { name: "PenniError", message });
  });
}

test("a training step needs opset 13", () => {
  const graph = of(12, nodeOf("Flatten", ["x"], ["y"]));
  const loss = { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 };
  const options = {
    trained: new Map(),
    batchNormalization: "batch",
    loss,
    optimizer: { momentum: 0.9, weightDecay: 0 },
  } as const;
  assert.throws(() => buildTrainingStep(graph, new Set(), options), {
    name: "PenniError",
    message: /expected opset 13 or later, found opset 12\. Run upgradeOpset/,
  });
});
