import assert from "node:assert/strict";
import { test } from "node:test";
import { ints } from "../../src/graph/attributes.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Attribute, Graph, Shape } from "../../src/graph/types.js";
import { layerChannels, shrink } from "../../src/method/shrink.js";
import { assertSameOutputs, type ConvOptions, Network } from "../../support/network.js";

/** Channels that hold a number other than zero in front of a zero-padded convolution. */

const widths = (graph: Graph): readonly string[] =>
  layerChannels(graph).map(({ inputs, outputs }) => `${inputs}>${outputs}`);
const operators = (graph: Graph): string => graph.nodes.map(({ op }) => op).join(" ");

/** Six channels: 1 and 2 hold numbers above zero, 4 holds zero. */
const withConstants = (net: Network): string =>
  net.relu(net.norm(net.conv("x", 6, { deadOutputs: [1, 2, 4] }), [0, 50, 20, 0, -50, 0]));

test("where there are few positions, a map behind the convolution takes up what the constants add", async () => {
  const forms: readonly ConvOptions[] = [
    { pad: 1 },
    { pad: 1, basis: 4, bias: true },
    { kernel: 5, pad: 2, stride: 2 },
  ];
  for (const options of forms) {
    const net = new Network(1, [3, 5, 5]);
    const graph = net.graph([net.conv(withConstants(net), 4, options)]);
    const small = shrink(graph);
    await assertSameOutputs(graph, small, net.feeds());
    assert.deepEqual(widths(small), ["3>3", "3>4"]);
    assert.match(operators(small), /Conv Add$/);
    assert.equal(shrink(small), small);
  }
});

test("any window: uneven padding, dilation, rows and columns of different sizes", async () => {
  const windows: readonly Record<string, Attribute>[] = [
    { pads: ints([0, 1, 2, 0]) },
    { pads: ints([2, 2, 2, 2]), dilations: ints([2, 2]), strides: ints([2, 1]) },
    { auto_pad: { kind: "string", value: "SAME_LOWER" }, strides: ints([2, 2]) },
  ];
  for (const attributes of windows) {
    const net = new Network(2, [3, 4, 6]);
    const weight = net.parameter("weight", [5, 6, 2, 3], -0.3, 0.3);
    const graph = net.graph([net.op("Conv", [withConstants(net), weight], attributes)]);
    const small = shrink(graph);
    await assertSameOutputs(graph, small, net.feeds());
    assert.deepEqual(widths(small), ["3>3", "3>5"]);
  }
});

test("in front of BatchNormalization the map would keep it from being folded: it goes behind", async () => {
  const net = new Network(3, [3, 5, 5]);
  const graph = net.graph([net.relu(net.norm(net.conv(withConstants(net), 4, { pad: 1 })))]);
  const small = shrink(graph);
  await assertSameOutputs(graph, small, net.feeds());
  assert.match(operators(small), /Conv BatchNormalization Add Relu$/);
  assert.deepEqual(
    layerChannels(small).map(({ node }) => node.outputs[0]),
    layerChannels(graph).map(({ node }) => node.outputs[0]),
  );
});

/** One constant channel stays where a map would be larger than the weights that go with it, or saves no channel. */
const kept: Readonly<Record<string, { size: number; declared?: Shape; multiple?: number }>> = {
  "many positions": { size: 12 },
  "positions that are not known": { size: 5, declared: ["batch", 3, "height", "width"] },
  "channels in multiples": { size: 5, multiple: 4 },
};

for (const [what, { size, declared, multiple = 1 }] of Object.entries(kept)) {
  test(`one constant channel stands for all: ${what}`, async () => {
    const net = new Network(4, [3, size, size], 17, declared);
    const graph = net.graph([net.conv(withConstants(net), 4, { pad: 1 })]);
    const small = shrink(graph, { multiple });
    await assertSameOutputs(graph, small, net.feeds());
    assert.deepEqual(widths(small), ["3>4", "4>4"]);
    assert.doesNotMatch(operators(small), /Add/);
  });
}

test("the map is taken where the model becomes smaller by it, to the number", () => {
  const bytes = (graph: Graph): number =>
    [...graph.initializers.values()].reduce((sum, tensor) => sum + 4 * float32Data(tensor).length, 0);
  // K maps of 16 numbers against 9 K + 27 + 4 (its kernels here, its kernels and its normalization before).
  const shrunk = (outputs: number): Graph => {
    const net = new Network(5);
    return shrink(net.graph([net.conv(withConstants(net), outputs, { pad: 1 })]));
  };
  assert.match(operators(shrunk(4)), /Add/);
  assert.doesNotMatch(operators(shrunk(5)), /Add/);
  assert.ok(bytes(shrunk(4)) < bytes(shrunk(5)));
});

test("a convolution without padding that reads the same map folds the constants into its bias, once", async () => {
  const net = new Network(6, [3, 5, 5]);
  const hidden = withConstants(net);
  const graph = net.graph([net.conv(hidden, 4, { pad: 1 }), net.conv(hidden, 2, { kernel: 1 })]);
  const small = shrink(graph);
  await assertSameOutputs(graph, small, net.feeds());
  assert.deepEqual(widths(small), ["3>3", "3>4", "3>2"]);
  assert.equal(small.nodes.filter(({ op }) => op === "Add").length, 1);
});

test("in a deep network all maps that pay are found, and none that does not", async () => {
  const net = new Network(9, [3, 5, 5]);
  let value = "x";
  const outputs = Array.from({ length: 15 }, (_, block) => {
    const constants = net.relu(
      net.norm(net.conv(value, 6, { deadOutputs: [1, 2, 4] }), [0, 50, 20, 0, -50, 0]),
    );
    // A map of [4, 5, 5] pays; one of [40, 7, 7] is more than the weights that go.
    const wide = block % 5 === 4;
    const y = net.conv(constants, wide ? 40 : 4, { pad: wide ? 2 : 1 });
    value = net.op("Tanh", [net.conv(y, 3, { kernel: 1, pad: wide ? 0 : 1 })]);
    return y;
  });
  const graph = net.graph([value]);
  const small = shrink(graph);
  await assertSameOutputs(graph, small, net.feeds());
  const maps = small.nodes.filter(({ op, outputs: [name = ""] }) => op === "Add" && outputs.includes(name));
  assert.equal(maps.length, 12);
  assert.equal(shrink(small), small);
});
