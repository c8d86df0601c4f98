import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { float, int, ints, text } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Attribute, Graph } from "../../src/graph/types.js";
import { layerChannels, planShrink, shrink } from "../../src/method/shrink.js";
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { reshape, transpose } from "../../src/ops/core/emit.js";
import { assertSameOutputs, Network } from "../../support/network.js";

/**
 * Nodes about which nothing is guessed: their reader does not want channels 0 and 1, all channels stay nevertheless,
 * and the plan says which node it was and why.
 */
interface Walled {
  /** Makes a map of as many channels of one of 6 channels and 4x4 positions. */
  readonly build: (net: Network, x: string) => string;
  readonly op: string;
  readonly reason: RegExp;
}

/** A node that Penni does not know, whose type the file declares. */
function declared(
  net: Network,
  x: string,
  op: string,
  inputs: readonly string[],
  attributes: Record<string, Attribute> = {},
  domain = "",
): string {
  const type = net.b.types.get(x);
  return net.b.emit(op, inputs, { attributes, domain, ...(type === undefined ? {} : { types: [type] }) });
}

const noRule = (op: string): RegExp => new RegExp(`operator ${op} has no channel rule`);
const overChannels = /over the channels/;

function subgraph(name: string, op: string, inputs: readonly string[]): Attribute {
  const node = [{ opType: op, input: [...inputs], output: [`${name}_out`] }];
  const g = create(GraphProtoSchema, { name, node, output: [{ name: `${name}_out` }] });
  const proto = create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g });
  return { kind: "opaque", value: toBinary(AttributeProtoSchema, proto), captures: [...inputs] };
}

const walls: Readonly<Record<string, Walled>> = {
  "a custom domain": {
    build: (net, x) => declared(net, x, "QuickGelu", [x], {}, "com.microsoft"),
    op: "QuickGelu",
    reason: noRule("QuickGelu"),
  },
  "a name of a standard operator in another domain": {
    build: (net, x) => declared(net, x, "Gelu", [x], {}, "com.microsoft"),
    op: "Gelu",
    reason: noRule("Gelu"),
  },
  "an operator that Penni does not know": {
    build: (net, x) => declared(net, x, "Sinh", [x]),
    op: "Sinh",
    reason: noRule("Sinh"),
  },
  "branches that read the map from outside": {
    build: (net, x) => {
      const condition = net.b.constant("condition", { type: "bool", dims: [], bytes: Uint8Array.of(1) });
      return declared(net, x, "If", [condition], {
        then_branch: subgraph("then", "Relu", [x]),
        else_branch: subgraph("else", "Neg", [x]),
      });
    },
    op: "If",
    reason: noRule("If"),
  },
  "a sequence": {
    build: (net, x) => {
      const parts = net.b.emit("SplitToSequence", [x], { attributes: { axis: int(1) } });
      return declared(net, x, "ConcatFromSequence", [parts], { axis: int(1) });
    },
    op: "SplitToSequence",
    reason: noRule("SplitToSequence"),
  },
  "Softmax over channels": {
    build: (net, x) => net.op("Softmax", [x], { axis: int(1) }),
    op: "Softmax",
    reason: overChannels,
  },
  "LayerNormalization over channels": {
    build: (net, x) => net.op("LayerNormalization", [x, net.parameter("scale", [6, 4, 4])], { axis: int(1) }),
    op: "LayerNormalization",
    reason: overChannels,
  },
  LRN: { build: (net, x) => net.op("LRN", [x], { size: int(3) }), op: "LRN", reason: /neighbours/ },
  "the place of the largest channel": {
    build: (net, x) => {
      const index = net.op("ArgMax", [x], { axis: int(1) });
      return net.op("Mul", [x, net.op("Cast", [index], { to: int(1) })]);
    },
    op: "ArgMax",
    reason: /it searches the batch or the channel axis/,
  },
  "a mean over channels": {
    build: (net, x) => net.op("Sub", [x, net.op("ReduceMean", [x], { axes: ints([1]) })]),
    op: "ReduceMean",
    reason: /it reduces the batch or the channel axis/,
  },
  "channels last": {
    build: (net, x) => transpose(net.b, net.relu(transpose(net.b, x, [0, 2, 3, 1])), [0, 3, 1, 2]),
    op: "Transpose",
    reason: /it moves the batch or the channel axis/,
  },
  "channels mixed with positions": {
    build: (net, x) => reshape(net.b, net.relu(reshape(net.b, x, [-1, 4, 24])), [-1, 6, 4, 4]),
    op: "Reshape",
    reason: /it mixes channels with other axes/,
  },
  "every second channel": {
    build: (net, x) => {
      const even = net.op("Slice", [x, net.b.axes([0]), net.b.axes([6]), net.b.axes([1]), net.b.axes([2])]);
      return net.op("Concat", [even, even], { axis: int(1) });
    },
    op: "Slice",
    reason: /with a step/,
  },
  "channels repeated by padding": {
    build: (net, x) => {
      const padded = net.op("Pad", [x, net.b.axes([0, 1, 0, 0, 0, 1, 0, 0])], { mode: text("edge") });
      return net.op("Slice", [padded, net.b.axes([0]), net.b.axes([6]), net.b.axes([1])]);
    },
    op: "Pad",
    reason: /it repeats channels/,
  },
  "indices that count across channels": {
    build: (net, x) => {
      const outputs = ["values", "places"];
      net.b.emit("MaxPool", [x], { outputs, attributes: { kernel_shape: ints([1, 1]) } });
      return net.op("Add", ["values", net.op("Cast", ["places"], { to: int(1) })]);
    },
    op: "MaxPool",
    reason: /its indices count across channels/,
  },
  "the number of channels in the arithmetic": {
    build: (net, x) => net.op("Div", [x, net.op("Cast", [net.op("Size", [x])], { to: int(1) })]),
    op: "Size",
    reason: noRule("Size"),
  },
  "the number of channels taken from the shape": {
    build: (net, x) => {
      const count = net.op("Gather", [net.op("Shape", [x]), net.b.constant("index", int64Tensor([], [-3]))]);
      return net.op("Div", [x, net.op("Cast", [count], { to: int(1) })]);
    },
    op: "Shape",
    reason: /it tells the number of channels/,
  },
  "a weight that is computed": {
    build: (net, x) => {
      const weight = net.op("Tanh", [net.parameter("raw", [6, 6, 1, 1], -0.5, 0.5)]);
      return net.op("Conv", [x, weight]);
    },
    op: "Conv",
    reason: /its weight is not a float32 constant/,
  },
  "attention: products of maps": {
    build: (net, x) => {
      const flat = reshape(net.b, x, [0, 6, 16]);
      const scores = net.op("Softmax", [net.op("MatMul", [transpose(net.b, flat, [0, 2, 1]), flat])], {
        axis: int(-1),
      });
      return reshape(net.b, net.op("MatMul", [flat, scores]), [0, 6, 4, 4]);
    },
    op: "MatMul",
    reason: /not a float32 matrix/,
  },
  "sizes that are bounds": {
    build: (net, x) => {
      const policy = { keep_aspect_ratio_policy: text("not_larger") };
      return declared(net, x, "Resize", [x, "", "", net.b.axes([2, 6, 4, 4])], policy);
    },
    op: "Resize",
    reason: /its sizes are bounds/,
  },
};

const withDeclaredTypes = (net: Network, graph: Graph): Graph => ({
  ...graph,
  opsets: new Map([...graph.opsets, ["com.microsoft", 1]]),
  valueInfo: new Map(
    graph.nodes.flatMap(({ outputs }) =>
      outputs.flatMap((name) => {
        const type = net.b.types.get(name);
        return type === undefined ? [] : [[name, { name, type }] as const];
      }),
    ),
  ),
});

for (const [what, { build, op, reason }] of Object.entries(walls)) {
  test(`a wall: ${what}`, async () => {
    const net = new Network(what.length, [3, 6, 6], op === "Resize" ? 18 : 17);
    const walled = build(net, net.conv("x", 6));
    const graph = withDeclaredTypes(net, net.graph([net.conv(walled, 2, { kernel: 1, deadInputs: [0, 1] })]));
    const found = planShrink(graph).walls.filter(({ node }) => node.op === op);
    assert.ok(found.length > 0, `${op} is a wall`);
    for (const { reason: stated } of found) assert.match(stated, reason);
    const small = shrink(graph);
    await assertSameOutputs(graph, small, net.feeds());
    assert.deepEqual(layerChannels(small)[0]?.outputs, 6);
  });
}

test("behind an operator that Penni does not know, the file's types count in every round", async () => {
  const net = new Network(40);
  const first = net.conv("x", 6);
  const unknown = declared(net, first, "QuickGelu", [first], {}, "com.microsoft");
  const [left = "", right = ""] = ["left", "right"];
  net.b.emit("Split", [unknown, net.b.axes([1, 5])], {
    outputs: [left, right],
    attributes: { axis: int(1) },
  });
  const hidden = net.relu(
    net.conv(net.relu(net.conv(right, 5)), 4, { kernel: 1, deadInputs: [0], deadOutputs: [1] }),
  );
  const graph = withDeclaredTypes(net, net.graph([net.conv(hidden, 2, { kernel: 1, deadInputs: [2] })]));
  const small = shrink(graph);
  await assertSameOutputs(graph, small, net.feeds());
  assert.deepEqual(
    layerChannels(small).map(({ inputs, outputs }) => `${inputs}>${outputs}`),
    ["3>6", "5>4", "4>2", "2>2"],
  );
});

test("a constant that gives PRelu its shape stays a map", async () => {
  const net = new Network(41);
  const constant = net.conv("x", 4, { bias: true, deadOutputs: [0, 1, 2, 3] });
  const slope = net.op("Sigmoid", [net.conv("x", 4)]);
  const graph = net.graph([net.conv(net.op("PRelu", [constant, slope]), 2)]);
  await assertSameOutputs(graph, shrink(graph), net.feeds());
});

test("a dilated window may lie in the padding with all its taps: what it finds there is no constant", async () => {
  const net = new Network(42, [3, 2, 2]);
  const constant = net.conv("x", 3, { kernel: 1, bias: true, deadOutputs: [1] });
  const pooled = net.op("MaxPool", [constant], {
    kernel_shape: ints([2, 2]),
    dilations: ints([3, 3]),
    pads: ints([1, 1, 1, 1]),
  });
  const bounded = net.op("Clip", [pooled, net.b.scalar(-2), net.b.scalar(2)]);
  const graph = net.graph([net.conv(bounded, 2, { kernel: 1 })]);
  await assertSameOutputs(graph, shrink(graph), net.feeds());
});

test("a parameter that is also an output of the graph keeps its size", async () => {
  const net = new Network(43);
  const hidden = net.conv("x", 4, { basis: 4, deadBasis: [2] });
  const shared = net.norm(hidden);
  const graph = net.graph([net.conv(shared, 2, { deadInputs: [1] }), "basis", "scale"]);
  const typed = {
    ...graph,
    outputs: graph.outputs.map((info) => ({ ...info, type: net.b.types.get(info.name) })),
  };
  const small = shrink(typed);
  await assertSameOutputs(typed, small, net.feeds());
  assert.deepEqual(layerChannels(small)[0]?.outputs, 3);
});

test("a constant near a jump is not taken for one side of it", async () => {
  const net = new Network(44);
  const ones = net.relu(net.norm(net.conv("x", 3, { deadOutputs: [1] })));
  const jump = net.op("ThresholdedRelu", [net.op("Clip", [ones, net.b.scalar(0.7), net.b.scalar(0.7)])], {
    alpha: float(0.7),
  });
  const graph = net.graph([net.conv(jump, 2)]);
  assert.equal(layerChannels(shrink(graph))[0]?.outputs, 3);
});

/** Nodes that pass channels on, with another input (`hidden`) whose type nobody knows. */
const beside: Readonly<Record<string, (net: Network, x: string, hidden: string) => string>> = {
  Pad: (net, x, hidden) => net.op("Pad", [x, net.b.axes([0, 0, 1, 1, 0, 0, 1, 1]), hidden]),
  Clip: (net, x, hidden) => net.op("Clip", [x, hidden]),
  Add: (net, x, hidden) => net.op("Add", [x, hidden]),
  Where: (net, x, hidden) =>
    net.op("Where", [net.b.constant("yes", { type: "bool", dims: [], bytes: Uint8Array.of(1) }), x, hidden]),
  Max: (net, x, hidden) => net.op("Max", [hidden, x]),
  PRelu: (net, x, hidden) => net.op("PRelu", [x, hidden]),
  Concat: (net, x, hidden) =>
    net.op("Concat", [x, net.op("Expand", [hidden, net.b.axes([2, 2, 4, 4])])], { axis: int(1) }),
};

for (const [op, build] of Object.entries(beside)) {
  test(`a wall: ${op} beside an input of unknown type`, async () => {
    const net = new Network(45, [3, 6, 6]);
    const x = net.conv("x", 6, { deadOutputs: [1, 2] });
    const one = net.b.constant("one", float32Tensor([], Float32Array.of(1)));
    const hidden = net.b.emit("QuickGelu", [one], { domain: "com.microsoft" });
    const walled = build(net, x, hidden);
    const graph = {
      ...net.graph([walled]),
      opsets: new Map([
        ["", 17],
        ["com.microsoft", 1],
      ]),
    };
    const small = shrink(graph);
    await assertSameOutputs(graph, small, net.feeds());
    assert.equal(layerChannels(small)[0]?.outputs, 6);
  });
}
