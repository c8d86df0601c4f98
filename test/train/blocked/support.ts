import assert from "node:assert/strict";
import fc from "fast-check";
import { blockSize } from "../../../src/execute/block_size.js";
import { runGraph } from "../../../src/execute/node.js";
import { int, ints } from "../../../src/graph/attributes.js";
import { float32Data } from "../../../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../../../src/graph/types.js";
import { verifyGraph } from "../../../src/graph/verify.js";
import { batchNormalizationTraining } from "../../../src/ops/composites/batch_normalization_training.js";
import { PENNI_DOMAIN } from "../../../src/ops/core/composite.js";
import { mul, reduceSum } from "../../../src/ops/core/emit.js";
import type { TypedBuilder } from "../../../src/ops/inference/builder.js";
import { expandComposites } from "../../../src/ops/passes/expand_composites.js";
import { blockLayout } from "../../../src/train/blocked/pass.js";
import { buildGradients } from "../../../src/train/gradients.js";
import { assertRelative, builderOver, randomIn } from "../support.js";

export const block = await blockSize();
export const skip = block === undefined ? "this build of ONNX Runtime has no blocked layout here" : false;

/** Relative to the largest element of each value: float32 sums of up to a few thousand products in another order. */
const TOLERANCE = 2e-4;

export interface ConvCase {
  readonly batch: number;
  readonly channels: readonly [number, number];
  readonly input: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly bias: boolean;
  /** Default: 1. */
  readonly groups?: number;
}

export const base: ConvCase = {
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
export interface Made {
  readonly b: TypedBuilder;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

export function parameter(
  { b, feeds }: Made,
  name: string,
  dims: readonly number[],
  low = -1,
  high = 1,
): string {
  (feeds as Map<string, Tensor>).set(name, randomIn(dims, feeds.size + 1, low, high));
  return b.declare(name, { elementType: "float32", shape: dims });
}

export function start(dims: readonly number[]): Made {
  statistics = [];
  const feeds = new Map([["x", randomIn(dims, 99)]]);
  return { b: builderOver(feeds, 13), feeds };
}

export function conv(made: Made, x: string, outputs: number, options: Partial<ConvCase> = {}): string {
  const { kernel, strides, dilations, pads, bias, groups = 1 } = { ...base, ...options };
  const [, channels = 1] = made.b.dims(x);
  const name = made.b.freshName("w");
  const weight = parameter(made, name, [outputs, channels / groups, ...kernel], -0.3, 0.3);
  const inputs = bias ? [x, weight, parameter(made, `${name}_bias`, [outputs])] : [x, weight];
  return made.b.emit("Conv", inputs, {
    attributes: {
      kernel_shape: ints(kernel),
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints(pads),
      group: int(groups),
    },
  });
}

/** A convolution whose weight is coefficients [K, C, d] times a basis [d, R·S]. */
export function factoredConv(
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

export function normalize(made: Made, x: string): string {
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
export function withGradients(made: Made, y: string): Graph {
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
export async function assertSame(dims: readonly number[], make: (made: Made) => string): Promise<Graph> {
  assert.ok(block !== undefined);
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

export const count = (graph: Graph, op: string): number =>
  graph.nodes.filter((node) => node.op === op).length;

const pad = fc.integer({ min: 0, max: 2 });

export const pairOf = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<[T, T]> => fc.tuple(arbitrary, arbitrary);

/** Everything about a random convolution but its batch and channels. */
export const randomWindow = {
  input: pairOf(fc.integer({ min: 7, max: 10 })),
  kernel: pairOf(fc.integer({ min: 1, max: 3 })),
  strides: pairOf(fc.integer({ min: 1, max: 3 })),
  dilations: pairOf(fc.integer({ min: 1, max: 2 })),
  pads: fc.tuple(pad, pad, pad, pad),
  bias: fc.boolean(),
};
