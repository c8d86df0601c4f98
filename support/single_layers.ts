import { performance } from "node:perf_hooks";
import { toOrtTensor } from "../src/execute/engine.js";
import { openSession } from "../src/execute/node.js";
import { elementCount, float32Tensor } from "../src/graph/tensor.js";
import type { Graph } from "../src/graph/types.js";
import { median } from "../src/measure/median.js";
import type { ConvGeometry } from "../src/ops/families/conv_gradient.js";
import type { TypedBuilder } from "../src/ops/inference/builder.js";
import { runtimeOpsets } from "../src/train/blocked/runtime_operators.js";

const RUNS = 9;
const WARMUP = 2;

/** Median milliseconds of a run of a graph on random inputs; its outputs should be small, they are copied. */
export async function milliseconds(graph: Graph, threads: number): Promise<number> {
  const session = await openSession(graph, { threads });
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name, type }) => {
      const dims = (type?.shape ?? []) as readonly number[];
      const data = Float32Array.from({ length: elementCount(dims) }, () => Math.random() - 0.5);
      return [name, toOrtTensor(float32Tensor(dims, data))];
    }),
  );
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    await session.run(feeds);
    times.push(performance.now() - start);
  }
  await session.release();
  return median(times.slice(WARMUP));
}

/** What a builder has collected, as a graph that takes `inputs`; on the blocked layout or not. */
export function layerGraph(b: TypedBuilder, inputs: readonly string[], outputs: readonly string[]): Graph {
  const declared = (name: string) => ({ name, type: b.types.get(name) });
  return {
    name: "layer",
    opsets: new Map([["", b.opset], ...runtimeOpsets]),
    inputs: inputs.map(declared),
    outputs: outputs.map(declared),
    nodes: b.nodes,
    initializers: b.initializers,
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

interface SquareConv {
  readonly batch: number;
  readonly from: number;
  readonly to: number;
  /** Of the input, in both directions. */
  readonly size: number;
  /** Default: 1. */
  readonly stride?: number;
  /** Odd; default: 3. */
  readonly kernel?: number;
}

/** A convolution of square maps with square kernels, padded so that stride 1 keeps the size. */
export function squareConv({ batch, from, to, size, stride = 1, kernel = 3 }: SquareConv): ConvGeometry {
  const pad = (kernel - 1) / 2;
  return {
    batch,
    inputChannels: from,
    outputChannels: to,
    groups: 1,
    input: [size, size],
    kernel: [kernel, kernel],
    output: [size / stride, size / stride],
    strides: [stride, stride],
    dilations: [1, 1],
    pads: [pad, pad, pad, pad],
  };
}
