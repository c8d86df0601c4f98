import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runGraph } from "../../../src/execute/node.js";
import { int, ints } from "../../../src/graph/attributes.js";
import { float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import type { Tensor } from "../../../src/graph/types.js";
import { add, mul } from "../../../src/ops/core/emit.js";
import { blockLayout } from "../../../src/train/blocked/pass.js";
import { assertNear } from "../support.js";
import {
  assertSame,
  base,
  block,
  type ConvCase,
  conv,
  count,
  factoredConv,
  normalize,
  pairOf,
  parameter,
  randomWindow,
  skip,
  start,
  withGradients,
} from "./support.js";

const convCases: Readonly<Record<string, Partial<ConvCase>>> = {
  "3x3": {},
  "3x3 with bias": { bias: true },
  "three input channels": { channels: [3, 16] },
  "channels that are not whole blocks": { channels: [24, 20] },
  "fewer channels than a block on both sides": { channels: [5, 9] },
  "stride 2": { strides: [2, 2] },
  "stride 2 on odd sizes": { strides: [2, 2], input: [7, 9] },
  "stride 2 without padding": { strides: [2, 2], pads: [0, 0, 0, 0] },
  "stride 2x1": { strides: [2, 1] },
  "stride 3": { strides: [3, 3], input: [9, 12] },
  "stride 2, 7x7": {
    strides: [2, 2],
    kernel: [7, 7],
    pads: [3, 3, 3, 3],
    channels: [3, 16],
    input: [12, 12],
  },
  "1x1": { kernel: [1, 1], pads: [0, 0, 0, 0] },
  "1x1 with stride 2": { kernel: [1, 1], pads: [0, 0, 0, 0], strides: [2, 2] },
  "1x3": { kernel: [1, 3], pads: [0, 1, 0, 1] },
  "3x1": { kernel: [3, 1], pads: [1, 0, 1, 0] },
  "5x5": { kernel: [5, 5], pads: [2, 2, 2, 2] },
  "dilation 2": { dilations: [2, 2], pads: [2, 2, 2, 2] },
  "stride 2 and dilation 2": { strides: [2, 2], dilations: [2, 2], pads: [2, 2, 2, 2] },
  "uneven padding": { pads: [0, 1, 2, 0] },
  "padding beyond the kernel": { kernel: [1, 1], pads: [1, 1, 1, 1] },
  "an odd batch": { batch: 7 },
  "a batch of one": { batch: 1 },
  "a batch of 12": { batch: 12 },
  "a batch that is not whole blocks": { batch: 20 },
  "a batch of 20 images with three channels": { batch: 20, channels: [3, 16] },
  "so wide that groups of images are added one after the other": {
    batch: 16,
    channels: [128, 136],
    input: [5, 4],
  },
  "the same with stride 2": { batch: 16, channels: [128, 136], strides: [2, 2] },
  "the same with dilation 2": {
    batch: 16,
    channels: [128, 136],
    dilations: [2, 2],
    pads: [2, 2, 2, 2],
  },
  "stride 2 with padding at the end only": {
    strides: [1, 2],
    kernel: [1, 1],
    pads: [0, 0, 0, 1],
    channels: [24, 24],
  },
};

for (const [name, options] of Object.entries(convCases)) {
  test(`blocked convolution and its gradients: ${name} (relative 2e-4)`, { skip }, async () => {
    const { batch, channels, input } = { ...base, ...options };
    const blocked = await assertSame([batch, channels[0], ...input], (made) =>
      conv(made, made.b.emit("Relu", ["x"]), channels[1], options),
    );
    assert.ok(count(blocked, "ReorderOutput") > 0, "nothing was blocked");
  });
}

/** Small maps of so many channels that Winograd's form pays. */
const tiledCases: Readonly<Record<string, Partial<ConvCase>>> = {
  "one tile": { channels: [32, 48], input: [2, 2] },
  "one row of tiles, with bias": { channels: [48, 64], input: [2, 4], bias: true },
  "four tiles, an odd batch": { channels: [96, 112], input: [4, 4], batch: 3 },
  "odd maps": { channels: [256, 272], input: [3, 3], batch: 2 },
  "odd by even": { channels: [176, 160], input: [4, 5], batch: 2, bias: true },
  "channels that are not whole blocks": { channels: [50, 70], input: [2, 2] },
};

for (const [name, options] of Object.entries(tiledCases)) {
  test(`Winograd's convolution and its gradients: ${name} (relative 2e-4)`, { skip }, async () => {
    const { batch, channels, input } = { ...base, ...options };
    const blocked = await assertSame([batch, channels[0], ...input], (made) =>
      conv(made, made.b.emit("Relu", ["x"]), channels[1], options),
    );
    assert.equal(count(blocked, "FusedMatMul"), 2);
  });
}

test("a residual block of Winograd's convolutions", { skip }, async () => {
  const blocked = await assertSame([8, 32, 2, 2], (made) => {
    const { b } = made;
    const x = b.emit("Relu", [normalize(made, conv(made, "x", 32))]);
    return b.emit("Relu", [add(b, normalize(made, conv(made, x, 32)), x)]);
  });
  assert.equal(count(blocked, "FusedMatMul"), 4);
});

test("a residual block: normalizations, activations and additions end convolutions", { skip }, async () => {
  const blocked = await assertSame([8, 16, 6, 6], (made) => {
    const { b } = made;
    const x = b.emit("Relu", [normalize(made, conv(made, "x", 16))]);
    const y = b.emit("Relu", [normalize(made, conv(made, x, 16))]);
    return b.emit("Relu", [add(b, normalize(made, conv(made, y, 16)), x)]);
  });
  assert.equal(count(blocked, "Relu"), 0);
});

test("normalization of channels that are not whole blocks", { skip }, async () => {
  await assertSame([4, 3, 6, 6], (made) => made.b.emit("Relu", [normalize(made, conv(made, "x", 13))]));
});

test("normalization of constant channels keeps their zeros", { skip }, async () => {
  await assertSame([4, 3, 6, 6], (made) => {
    const y = conv(made, "x", 16);
    return made.b.emit("Relu", [normalize(made, mul(made.b, y, made.b.scalar(0)))]);
  });
});

test("frozen normalization, and numbers per channel", { skip }, async () => {
  await assertSame([4, 3, 6, 6], (made) => {
    const { b } = made;
    const x = conv(made, "x", 20);
    const factor = parameter(made, "factor", [1, 20, 1, 1]);
    const term = parameter(made, "term", [20, 1, 1]);
    const names = ["scale", "bias", "frozen_mean", "frozen_variance"];
    const statistics = names.map((name) => parameter(made, name, [20], 0.5, 1));
    return b.emit("BatchNormalization", [add(b, mul(b, x, factor), term), ...statistics]);
  });
});

test("equal maxima of a window share its gradient evenly", { skip }, async () => {
  assert.ok(block !== undefined);
  const made = start([2, 3, 4, 4]);
  const { b, feeds } = made;
  const nothing = mul(b, conv(made, "x", 16), b.scalar(0));
  const image = add(b, nothing, parameter(made, "image", [2, 16, 4, 4]));
  (feeds as Map<string, Tensor>).set("image", float32Tensor([2, 16, 4, 4], new Float32Array(512).fill(0.5)));
  const window = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
  const graph = withGradients(made, b.emit("MaxPool", [image], { attributes: window }));
  const [, ...gradients] = graph.outputs.map(({ name }) => name);
  const outputs = await runGraph(blockLayout(graph, block), feeds, { threads: 1 });
  const weights = float32Data(feeds.get("loss_weights") ?? float32Tensor([0], []));
  const expected = Array.from({ length: 512 }, (_, index) => {
    const [row, column] = [Math.floor(index / 4) % 4, index % 4];
    return (weights[Math.floor(index / 16) * 4 + (row >> 1) * 2 + (column >> 1)] ?? Number.NaN) / 4;
  });
  const found = gradients
    .map((name) => outputs.get(name))
    .find((tensor) => tensor?.dims.join() === "2,16,4,4");
  assert.ok(found);
  assertNear(float32Data(found), expected, 1e-6, "gradient");
});

test("pooling, and a strided slice as a shortcut", { skip }, async () => {
  await assertSame([4, 16, 8, 8], (made) => {
    const { b } = made;
    const x = conv(made, "x", 16);
    const window = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
    const maximum = b.emit("MaxPool", [x], { attributes: window });
    const average = b.emit("AveragePool", [x], { attributes: window });
    const ranges = [b.axes([0, 0]), b.axes([8, 8]), b.axes([2, 3]), b.axes([2, 2])];
    const every = b.emit("Slice", [x, ...ranges]);
    return b.emit("GlobalAveragePool", [conv(made, add(b, add(b, maximum, average), every), 32)]);
  });
});

test("operators that know only the plain layout are in between", { skip }, async () => {
  await assertSame([4, 16, 6, 6], (made) => {
    const { b } = made;
    const x = conv(made, "x", 16);
    const shrunk = b.emit("Softsign", [x]);
    const joined = b.emit("Concat", [shrunk, x], { attributes: { axis: int(1) } });
    return conv(made, joined, 16);
  });
});

test("a value that is also an output stays readable", { skip }, async () => {
  await assertSame([4, 16, 6, 6], (made) => made.b.emit("Relu", [conv(made, "x", 16)]));
});

const factoredCases: Readonly<Record<string, Partial<ConvCase>>> = {
  "3x3": {},
  "3x3 with bias": { bias: true },
  "channels that are not whole blocks": { channels: [24, 20] },
  "fewer channels than a block": { channels: [5, 9] },
  "stride 2": { strides: [2, 2] },
  "stride 2 on odd sizes": { strides: [2, 2], input: [7, 9] },
  "5x5": { kernel: [5, 5], pads: [2, 2, 2, 2] },
  "dilation 2": { dilations: [2, 2], pads: [2, 2, 2, 2] },
  "uneven padding": { pads: [0, 1, 2, 0] },
  "a map of more than 64 positions": { input: [10, 8] },
  "padding beyond the kernel": { kernel: [1, 2], pads: [1, 1, 1, 1] },
};

for (const [name, options] of Object.entries(factoredCases)) {
  test(`blocked factored convolution and its gradients: ${name} (relative 2e-4)`, { skip }, async () => {
    const { batch, channels, input } = { ...base, ...options };
    const blocked = await assertSame([batch, channels[0], ...input], (made) =>
      factoredConv(made, made.b.emit("Relu", ["x"]), channels[1], 3, options),
    );
    assert.equal(count(blocked, "FactoredConv"), 0);
  });
}

test("factored convolutions under normalization, activation and addition", { skip }, async () => {
  await assertSame([8, 16, 6, 6], (made) => {
    const { b } = made;
    const x = b.emit("Relu", [normalize(made, factoredConv(made, "x", 32, 4))]);
    return b.emit("Relu", [add(b, normalize(made, factoredConv(made, x, 32, 4)), x)]);
  });
});

const randomCases: fc.Arbitrary<ConvCase> = fc.record({
  batch: fc.constantFrom(1, 2, 3, 7, 8, 16, 18),
  channels: pairOf(fc.integer({ min: 1, max: 36 })),
  ...randomWindow,
});

test("random convolutions", { skip }, async () => {
  await fc.assert(
    fc.asyncProperty(randomCases, async (options) => {
      await assertSame([options.batch, options.channels[0], ...options.input], (made) =>
        conv(made, "x", options.channels[1], options),
      );
    }),
    { numRuns: 40, seed: 1 },
  );
});

test("random factored convolutions", { skip }, async () => {
  await fc.assert(
    fc.asyncProperty(randomCases, fc.integer({ min: 1, max: 4 }), async (options, d) => {
      await assertSame([options.batch, options.channels[0], ...options.input], (made) =>
        factoredConv(made, "x", options.channels[1], d, options),
      );
    }),
    { numRuns: 40, seed: 1 },
  );
});
