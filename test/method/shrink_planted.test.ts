import assert from "node:assert/strict";
import { test } from "node:test";
import { float, int, ints, text } from "../../src/graph/attributes.js";
import { int64Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { layerChannels, planShrink, shrink } from "../../src/method/shrink.js";
import { reshape, transpose } from "../../src/ops/core/emit.js";
import { assertSameOutputs, Network } from "../../support/network.js";

/**
 * Networks with planted dead channels, and what theory says is left: "inputs>outputs" of every layer. The random
 * networks show that shrinking is exact; these show that it is complete.
 */
interface Planted {
  /** Makes the outputs of a network with input x [N, 3, 6, 6]. */
  readonly build: (net: Network) => readonly string[];
  readonly widths: readonly string[];
  readonly opset?: number;
}

const widthsOf = (graph: Graph): readonly string[] =>
  layerChannels(graph).map(({ inputs, outputs }) => `${inputs}>${outputs}`);

/** A read of everything but some channels: a 1x1 convolution to 2 channels. */
const read = (net: Network, x: string, dead: readonly number[]): string =>
  net.conv(x, 2, { kernel: 1, deadInputs: dead });

/** Six channels of which 1 and 4 are constant (0.5 and 0), by a normalization behind dead outputs. */
const withConstants = (net: Network, x = "x"): string =>
  net.relu(net.norm(net.conv(x, 6, { pad: 1, deadOutputs: [1, 4] }), [0, 9, 0, 0, -9, 0]));

function transposed(
  net: Network,
  x: string,
  dims: readonly number[],
  dead: readonly number[],
  group = 1,
): string {
  const [, perGroup = 1] = dims;
  const taps = (dims[2] ?? 1) * (dims[3] ?? 1);
  const count = dims.reduce((product, dim) => product * dim, 1);
  const weight = net
    .uniform(count, -0.5, 0.5)
    .map((value, at) => (dead.includes(Math.floor(at / (perGroup * taps))) ? 0 : value));
  const inputs = [x, net.b.floats("weight", dims, weight), net.parameter("bias", [perGroup * group])];
  return net.op("ConvTranspose", inputs, { strides: ints([2, 2]), group: int(group) });
}

const scaleAndShift = (net: Network, dims: readonly number[]): readonly string[] => [
  net.parameter("scale", dims),
  net.parameter("shift", dims),
];

const planted: Readonly<Record<string, Planted>> = {
  "transposed convolution: unread inputs and outputs": {
    build: (net) => [read(net, transposed(net, net.conv("x", 5), [5, 4, 2, 2], [0, 3]), [1])],
    widths: ["3>3", "3>3", "3>2"],
  },
  "transposed convolution: constant inputs are merged into one, zeros go": {
    build: (net) => {
      const hidden = net.relu(net.norm(net.conv("x", 6, { deadOutputs: [1, 2, 4] }), [0, 50, 20, 0, -50, 0]));
      return [read(net, transposed(net, hidden, [6, 3, 3, 3], []), [])];
    },
    widths: ["3>4", "4>3", "3>2"],
  },
  "transposed convolution in groups": {
    build: (net) => [read(net, transposed(net, net.conv("x", 6), [6, 2, 2, 2], [], 3), [2, 3, 4])],
    widths: ["3>4", "4>4", "4>2"],
  },
  "Resize by scales and by sizes; constants pass": {
    build: (net) => {
      const double = net.op("Resize", [withConstants(net), "", net.b.floats("scales", [4], [1, 1, 2, 2])], {
        mode: text("linear"),
      });
      const sized = net.op("Resize", [double, "", "", net.b.axes([2, 6, 5, 7])], { mode: text("nearest") });
      return [read(net, sized, [0])];
    },
    widths: ["3>3", "3>2"],
  },
  "Resize by sizes of rows and columns only": {
    build: (net) => {
      const sized = net.op("Resize", [net.conv("x", 5), "", "", net.b.axes([3, 3])], { axes: ints([2, 3]) });
      return [read(net, sized, [0, 2])];
    },
    widths: ["3>3", "3>2"],
    opset: 18,
  },
  "InstanceNormalization: a constant leaves as the bias": {
    build: (net) => [
      read(net, net.op("InstanceNormalization", [withConstants(net), ...scaleAndShift(net, [6])]), [0]),
    ],
    widths: ["3>3", "3>2"],
  },
  "LayerNormalization and Softmax over the columns": {
    build: (net) => {
      const normalized = net.op("LayerNormalization", [net.conv("x", 5), ...scaleAndShift(net, [4])]);
      return [read(net, net.op("Softmax", [normalized], { axis: int(-1) }), [0, 4])];
    },
    widths: ["3>3", "3>2"],
  },
  "pixel shuffle: a channel is made of four": {
    build: (net) => {
      const columns = net.op("DepthToSpace", [net.conv("x", 12)], { blocksize: int(2) });
      const rows = net.op("DepthToSpace", [net.conv("x", 12)], { blocksize: int(2), mode: text("CRD") });
      return [read(net, columns, [1]), read(net, rows, [0])];
    },
    widths: ["3>8", "3>8", "2>2", "2>2"],
  },
  "pixel unshuffle: four channels come of one": {
    build: (net) => {
      const spread = net.op("SpaceToDepth", [net.conv("x", 3)], { blocksize: int(2) });
      return [read(net, spread, [0, 3, 6, 9, 2])];
    },
    widths: ["3>2", "8>2"],
  },
  "Expand and Tile": {
    build: (net) => {
      const pooled = net.op("GlobalAveragePool", [net.conv("x", 5)]);
      const spread = net.op("Expand", [pooled, net.b.axes([1, 5, 4, 4])]);
      const single = net.op("Expand", [net.conv("x", 1), net.b.axes([1, 4, 1, 1])]);
      const tiled = net.op("Tile", [net.conv("x", 3), net.b.axes([1, 2, 1, 1])]);
      return [read(net, spread, [0]), read(net, single, [2, 3]), read(net, tiled, [0, 1, 3])];
    },
    widths: ["3>4", "3>1", "3>2", "4>2", "2>2", "4>2"],
  },
  "comparisons and Where": {
    build: (net) => {
      const [a, b] = [net.conv("x", 5), net.conv("x", 5)];
      const larger = net.op("Where", [net.op("Not", [net.op("Less", [a, b])]), a, b]);
      return [read(net, larger, [1, 3])];
    },
    widths: ["3>3", "3>3", "3>2"],
  },
  "GELU of a constant": {
    build: (net) => {
      const x = net.norm(net.conv("x", 6, { deadOutputs: [1, 4] }));
      const erf = net.op("Erf", [net.op("Mul", [x, net.b.scalar(Math.SQRT1_2)])]);
      const gelu = net.op("Mul", [
        net.op("Mul", [x, net.op("Add", [erf, net.b.scalar(1)])]),
        net.b.scalar(0.5),
      ]);
      return [read(net, gelu, [])];
    },
    widths: ["3>4", "4>2"],
  },
  "Squeeze-and-Excitation by fully connected layers": {
    build: (net) => {
      const hidden = net.relu(net.conv("x", 6));
      const squeezed = net.relu(net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [hidden])]), 4, [5]));
      const gate = net.op("Unsqueeze", [net.op("Sigmoid", [net.gemm(squeezed, 6, [0])]), net.b.axes([2, 3])]);
      return [read(net, net.op("Mul", [hidden, gate]), [5, 1])];
    },
    // Channel 1 is squeezed, so it stays, and with it its gate.
    widths: ["3>5", "5>3", "3>5", "5>2"],
  },
  "ShuffleNet's unit: split, convolve one half, concatenate, shuffle": {
    build: (net) => {
      const stem = net.relu(net.conv("x", 8, { pad: 1 }));
      const [kept = "", changed = ""] = ["kept", "changed"].map((name) => net.b.freshName(name));
      net.b.emit("Split", [stem, net.b.axes([4, 4])], {
        outputs: [kept, changed],
        attributes: { axis: int(1) },
      });
      const branch = net.relu(net.conv(changed, 4, { kernel: 1, deadInputs: [0] }));
      const both = net.op("Concat", [kept, branch], { axis: int(1) });
      const split = reshape(net.b, both, [-1, 2, 4, 6, 6]);
      const shuffled = reshape(net.b, transpose(net.b, split, [0, 2, 1, 3, 4]), [-1, 8, 6, 6]);
      // Shuffled: kept 0, branch 0, kept 1, branch 1, ...
      return [read(net, shuffled, [0, 1, 2, 7])];
    },
    widths: ["3>5", "3>2", "4>2"],
  },
  "DenseNet: every layer reads all maps before it": {
    build: (net) => {
      const first = net.relu(net.conv("x", 4, { pad: 1 }));
      const second = net.relu(net.conv(first, 3, { pad: 1, deadInputs: [0] }));
      const both = net.op("Concat", [first, second], { axis: int(1) });
      const third = net.relu(net.conv(net.relu(net.norm(both)), 3, { pad: 1, deadInputs: [0, 1, 6] }));
      return [read(net, net.op("Concat", [both, third], { axis: int(1) }), [0, 1, 4, 6, 9])];
    },
    // Channel 1 is read by the second layer alone; the others get it with the rest.
    widths: ["3>3", "3>2", "5>2", "7>2"],
  },
  "U-Net: a skip around a transposed convolution": {
    build: (net) => {
      const top = net.relu(net.conv("x", 5, { pad: 1 }));
      const deep = net.relu(
        net.conv(net.op("MaxPool", [top], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }), 6, {
          pad: 1,
          deadInputs: [4],
        }),
      );
      const up = transposed(net, deep, [6, 3, 2, 2], [0]);
      return [read(net, net.op("Concat", [up, top], { axis: int(1) }), [1, 3, 7])];
    },
    // Channel 0 of the top is read by the lower path alone, channel 4 by nobody.
    widths: ["3>4", "4>5", "5>2", "6>2"],
  },
  "a classifier in all layouts": {
    build: (net) => {
      const features = net.op("Flatten", [net.op("GlobalAveragePool", [withConstants(net)])]);
      const straight = net.op("Gemm", [features, net.parameter("matrix", [6, 4])], { alpha: float(0.5) });
      const product = net.op("Add", [
        net.op("MatMul", [features, net.parameter("matrix", [6, 4])]),
        net.parameter("offset", [4]),
      ]);
      return [net.gemm(net.relu(net.norm(straight)), 2, [0, 3]), net.gemm(net.relu(product), 2, [2])];
    },
    widths: ["3>4", "4>2", "4>3", "2>2", "3>2"],
  },
  "several outputs: what one of them is stays": {
    build: (net) => {
      const stem = net.relu(net.conv("x", 5, { pad: 1 }));
      const feature = net.conv(stem, 4, { pad: 1, deadInputs: [0, 1] });
      return [
        feature,
        read(net, net.op("Add", [feature, net.conv(stem, 4, { pad: 1, deadInputs: [0, 2] })]), [3]),
      ];
    },
    widths: ["3>4", "4>4", "4>4", "4>2"],
  },
  "depthwise with a multiplier: a kernel of zeros makes a constant, whose group goes": {
    build: (net) => {
      const depthwise = net.conv(net.conv("x", 4), 8, { group: 4, bias: true, deadOutputs: [2, 3, 6] });
      return [read(net, depthwise, [])];
    },
    widths: ["3>3", "3>6", "6>2"],
  },
  "constants through pooling, Flatten and Reshape": {
    build: (net) => {
      const pooled = net.op("AveragePool", [withConstants(net)], {
        kernel_shape: ints([2, 2]),
        strides: ints([2, 2]),
        pads: ints([1, 1, 0, 0]),
        ceil_mode: int(1),
      });
      return [net.gemm(net.op("Flatten", [pooled]), 2)];
    },
    widths: ["3>4", "64>2"],
  },
  "decomposed in groups": {
    build: (net) => [
      read(net, net.conv(net.conv("x", 4), 6, { group: 2, basis: 3, deadBasis: [1] }), [3, 4, 5]),
    ],
    widths: ["3>2", "2>3", "3>2"],
  },
  "the shape without the channels is no wall": {
    build: (net) => {
      const hidden = net.conv("x", 5);
      const rows = net.op("Shape", [hidden], { start: int(2), end: int(4) });
      return [read(net, hidden, [0, 1]), net.op("Cast", [rows], { to: int(1) })];
    },
    widths: ["3>3", "3>2"],
  },
  "one number of the shape, not the channels'": {
    build: (net) => {
      const hidden = net.conv("x", 5);
      const height = net.op("Gather", [
        net.op("Shape", [hidden]),
        net.b.constant("index", int64Tensor([1], [2])),
      ]);
      return [read(net, hidden, [0, 1]), net.op("Cast", [height], { to: int(1) })];
    },
    widths: ["3>3", "3>2"],
  },
};

for (const [name, { build, widths, opset }] of Object.entries(planted)) {
  test(`complete: ${name}`, async () => {
    const net = new Network(name.length, [3, 6, 6], opset);
    const graph = net.graph(build(net));
    const small = shrink(graph);
    await assertSameOutputs(graph, small, net.feeds());
    assert.deepEqual(
      { widths: widthsOf(small), walls: planShrink(small).walls.map(({ reason }) => reason) },
      { widths, walls: [] },
    );
  });
}
