import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { blockSize } from "../../../src/execute/block_size.js";
import { runGraph } from "../../../src/execute/node.js";
import { int, ints } from "../../../src/graph/attributes.js";
import { float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../../../src/graph/types.js";
import { verifyGraph } from "../../../src/graph/verify.js";
import { batchNormalizationTraining } from "../../../src/ops/batch_normalization_training.js";
import type { TypedBuilder } from "../../../src/ops/builder.js";
import { PENNI_DOMAIN } from "../../../src/ops/composite.js";
import { add, mul, reduceSum } from "../../../src/ops/emit.js";
import { expandComposites } from "../../../src/ops/passes/expand_composites.js";
import { blockLayout } from "../../../src/train/blocked/pass.js";
import { buildGradients } from "../../../src/train/gradients.js";
import { assertNear, assertRelative, builderOver, randomIn } from "../support.js";

const block = await blockSize();
const skip = block === undefined ? "this build of ONNX Runtime has no blocked layout here" : false;

/** Relative to the largest element of each value: float32 sums of up to a few thousand products in another order. */
const TOLERANCE = 2e-4;

interface ConvCase {
  readonly batch: number;
  readonly channels: readonly [number, number];
  readonly input: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly bias: boolean;
}

const base: ConvCase = {
  batch: 8,
  channels: [16, 32],
  input: [8, 6],
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [1, 1, 1, 1],
  bias: false,
};

/** A builder, its constants and what is to be differentiated. */
interface Made {
  readonly b: TypedBuilder;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

function parameter({ b, feeds }: Made, name: string, dims: readonly number[], low = -1, high = 1): string {
  (feeds as Map<string, Tensor>).set(name, randomIn(dims, feeds.size + 1, low, high));
  return b.declare(name, { elementType: "float32", shape: dims });
}

function start(dims: readonly number[]): Made {
  const feeds = new Map([["x", randomIn(dims, 99)]]);
  return { b: builderOver(feeds, 13), feeds };
}

function conv(made: Made, x: string, outputs: number, options: Partial<ConvCase> = {}): string {
  const { kernel, strides, dilations, pads, bias } = { ...base, ...options };
  const [, channels = 1] = made.b.dims(x);
  const name = made.b.freshName("w");
  const weight = parameter(made, name, [outputs, channels, ...kernel], -0.3, 0.3);
  const inputs = bias ? [x, weight, parameter(made, `${name}_bias`, [outputs])] : [x, weight];
  return made.b.emit("Conv", inputs, {
    attributes: {
      kernel_shape: ints(kernel),
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints(pads),
      group: int(1),
    },
  });
}

/** A convolution whose weight is coefficients [K, C, d] times a basis [d, R·S]. */
function factoredConv(
  made: Made,
  x: string,
  outputs: number,
  d: number,
  options: Partial<ConvCase> = {},
): string {
  const { kernel, strides, dilations, pads, bias } = { ...base, ...options };
  const [, channels = 1] = made.b.dims(x);
  const name = made.b.freshName("w");
  const inputs = [
    x,
    parameter(made, `${name}_coefs`, [outputs, channels, d], -0.3, 0.3),
    parameter(made, `${name}_basis`, [d, kernel[0] * kernel[1]]),
    ...(bias ? [parameter(made, `${name}_bias`, [outputs])] : []),
  ];
  return made.b.emit("FactoredConv", inputs, {
    domain: PENNI_DOMAIN,
    attributes: {
      kernel_shape: ints(kernel),
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints(pads),
    },
  });
}

function normalize(made: Made, x: string): string {
  const [, channels = 1] = made.b.dims(x);
  const name = made.b.freshName("bn");
  const inputs = [
    x,
    parameter(made, `${name}_scale`, [channels], 0.5, 1.5),
    parameter(made, `${name}_bias`, [channels]),
    parameter(made, `${name}_mean`, [channels]),
    parameter(made, `${name}_variance`, [channels], 0.5, 1),
  ];
  const node: Node = {
    name,
    op: "BatchNormalization",
    domain: "",
    inputs,
    outputs: [made.b.freshName(`${name}_y`)],
    attributes: new Map(),
  };
  const training = batchNormalizationTraining(made.b, node);
  made.b.append(training);
  statistics.push(...training.outputs.slice(3));
  return training.outputs[0] ?? "";
}

/** Running statistics of the graph that is being made: outputs as well. */
let statistics: string[] = [];

/** Outputs of the graph: y, the gradients of Σ y · weights to all parameters and x, and the running statistics. */
function withGradients(made: Made, y: string): Graph {
  const { b } = made;
  const weights = parameter(made, "loss_weights", b.dims(y));
  const product = mul(b, y, weights);
  const loss = reduceSum(
    b,
    product,
    b.dims(product).map((_, axis) => axis),
    false,
  );
  const wanted = [...made.feeds.keys()].filter((name) => !/mean|variance|loss/.test(name));
  const gradients = buildGradients(b, [...b.nodes], loss, wanted);
  const outputs = new Set([y, ...gradients.values(), ...statistics]);
  return {
    name: "made",
    opsets: new Map([["", 13]]),
    inputs: [...made.feeds.keys()].map((name) => ({ name, type: b.types.get(name) })),
    outputs: [...outputs].map((name) => ({ name, type: b.types.get(name) })),
    nodes: b.nodes,
    initializers: b.initializers,
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

/** All outputs of the graph on blocked values equal those of the graph in standard operators. */
async function assertSame(dims: readonly number[], make: (made: Made) => string): Promise<Graph> {
  assert.ok(block !== undefined);
  statistics = [];
  const made = start(dims);
  const graph = withGradients(made, make(made));
  const blocked = blockLayout(graph, block);
  verifyGraph(blocked);
  const [expected, actual] = [
    await runGraph(expandComposites(graph), made.feeds, { threads: 1 }),
    await runGraph(blocked, made.feeds, { threads: 1 }),
  ];
  assert.deepEqual([...actual.keys()], [...expected.keys()]);
  for (const [name, tensor] of expected) {
    assertRelative(float32Data(actual.get(name) ?? tensor), float32Data(tensor), TOLERANCE, name);
  }
  return blocked;
}

const count = (graph: Graph, op: string): number => graph.nodes.filter((node) => node.op === op).length;

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
  statistics = [];
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
    const squashed = b.emit("Sigmoid", [x]);
    const joined = b.emit("Concat", [squashed, x], { attributes: { axis: int(1) } });
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

const size = fc.integer({ min: 1, max: 3 });
const pair = <T>(arbitrary: fc.Arbitrary<T>) => fc.tuple(arbitrary, arbitrary);
const pad = fc.integer({ min: 0, max: 2 });

const randomCases: fc.Arbitrary<ConvCase> = fc.record({
  batch: fc.constantFrom(1, 2, 3, 7, 8, 16, 18),
  channels: pair(fc.integer({ min: 1, max: 36 })),
  input: pair(fc.integer({ min: 7, max: 10 })),
  kernel: pair(size),
  strides: pair(size),
  dilations: pair(fc.integer({ min: 1, max: 2 })),
  pads: fc.tuple(pad, pad, pad, pad),
  bias: fc.boolean(),
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
