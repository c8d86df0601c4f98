/**
 * GFLOP/s of each formulation of a convolution's weight gradient, by shape:
 * `npm run build && node dist/bench/weight-gradient.js [THREADS]`
 */
import { performance } from "node:perf_hooks";
import { toOrtTensor } from "../src/execute/engine.js";
import { openSession } from "../src/execute/node.js";
import { float32Tensor } from "../src/graph/tensor.js";
import { TypedBuilder } from "../src/ops/builder.js";
import {
  type ConvGeometry,
  type WeightGradientFormulation,
  weightGradients,
} from "../src/ops/conv_gradient.js";
import { reduceSum } from "../src/ops/emit.js";

const shapes: readonly {
  batch: number;
  from: number;
  to: number;
  size: number;
  stride: number;
  kernel: number;
}[] = [
  { batch: 128, from: 3, to: 16, size: 32, stride: 1, kernel: 3 },
  { batch: 128, from: 16, to: 16, size: 32, stride: 1, kernel: 3 },
  { batch: 128, from: 16, to: 32, size: 32, stride: 2, kernel: 3 },
  { batch: 128, from: 32, to: 32, size: 16, stride: 1, kernel: 3 },
  { batch: 128, from: 32, to: 64, size: 16, stride: 2, kernel: 3 },
  { batch: 128, from: 64, to: 64, size: 8, stride: 1, kernel: 3 },
  { batch: 32, from: 64, to: 64, size: 32, stride: 1, kernel: 3 },
  { batch: 32, from: 256, to: 256, size: 8, stride: 1, kernel: 3 },
  { batch: 32, from: 512, to: 512, size: 4, stride: 1, kernel: 3 },
];

function random(count: number): Float32Array {
  return Float32Array.from({ length: count }, () => Math.random() - 0.5);
}

async function gflops(geometry: ConvGeometry, formulation: WeightGradientFormulation, threads: number) {
  const { batch, inputChannels, outputChannels, input, output } = geometry;
  const xDims = [batch, inputChannels, ...input];
  const dyDims = [batch, outputChannels, ...output];
  const b = new TypedBuilder(13);
  b.declare("x", { elementType: "float32", shape: xDims });
  b.declare("dy", { elementType: "float32", shape: dyDims });
  const dw = weightGradients[formulation](b, geometry, "x", "dy");
  const sum = reduceSum(b, dw, [0, 1, 2, 3], false);
  const session = await openSession(
    {
      name: "weight_gradient",
      opsets: new Map([["", 13]]),
      inputs: ["x", "dy"].map((name) => ({ name, type: b.types.get(name) })),
      outputs: [{ name: sum, type: { elementType: "float32", shape: [] } }],
      nodes: b.nodes,
      initializers: b.initializers,
      valueInfo: new Map(),
      metadata: new Map(),
    },
    { threads },
  );
  const feeds = {
    x: toOrtTensor(float32Tensor(xDims, random(xDims.reduce((a, c) => a * c, 1)))),
    dy: toOrtTensor(float32Tensor(dyDims, random(dyDims.reduce((a, c) => a * c, 1)))),
  };
  const times: number[] = [];
  for (let run = 0; run < 7; run++) {
    const start = performance.now();
    await session.run(feeds);
    times.push(performance.now() - start);
  }
  await session.release();
  const median = times.slice(1).sort((p, q) => p - q)[3] ?? 0;
  const taps = geometry.kernel[0] * geometry.kernel[1];
  return (2 * batch * outputChannels * inputChannels * taps * output[0] * output[1]) / median / 1e6;
}

const threads = Number(process.argv[2] ?? 2);
for (const { batch, from, to, size, stride, kernel } of shapes) {
  const pad = (kernel - 1) / 2;
  const geometry: ConvGeometry = {
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
  const cells: string[] = [];
  for (const formulation of Object.keys(weightGradients) as WeightGradientFormulation[]) {
    if (formulation === "shifts" && stride !== 1) continue;
    cells.push(`${formulation} ${(await gflops(geometry, formulation, threads)).toFixed(1)}`);
  }
  console.log(`${from}->${to} @${size} s${stride} k${kernel} n${batch}: ${cells.join("  ")}`);
}
