/**
 * GFLOP/s of each formulation of a convolution's weight gradient, by shape:
 * `npm run build && node dist/bench/weight-gradient.js [THREADS]`
 */
import { blockSize } from "../src/execute/block_size.js";
import { add, reduceSum, slice } from "../src/ops/core/emit.js";
import {
  type ConvGeometry,
  type WeightGradientFormulation,
  weightGradients,
} from "../src/ops/families/conv_gradient.js";
import { TypedBuilder } from "../src/ops/inference/builder.js";
import { Layouts } from "../src/train/blocked/layouts.js";
import { type BlockedWeightGradient, blockedWeightGradients } from "../src/train/blocked/weight_gradient.js";
import { layerGraph, milliseconds as medianRun, squareConv } from "../support/single_layers.js";

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
  { batch: 64, from: 64, to: 64, size: 32, stride: 1, kernel: 3 },
  { batch: 64, from: 128, to: 128, size: 16, stride: 1, kernel: 3 },
  { batch: 64, from: 256, to: 256, size: 8, stride: 1, kernel: 3 },
  { batch: 64, from: 512, to: 512, size: 4, stride: 1, kernel: 3 },
  { batch: 64, from: 512, to: 512, size: 2, stride: 1, kernel: 3 },
];

/** Emits something of "x" and "dy" whose time is taken. */
type Emit = (b: TypedBuilder, geometry: ConvGeometry) => string;

/** Median milliseconds of what `emit` emits, and of the sum of its elements. */
async function milliseconds(geometry: ConvGeometry, emit: Emit, threads: number): Promise<number> {
  const { batch, inputChannels, outputChannels, input, output } = geometry;
  const xDims = [batch, inputChannels, ...input];
  const dyDims = [batch, outputChannels, ...output];
  const b = new TypedBuilder(13);
  b.declare("x", { elementType: "float32", shape: xDims });
  b.declare("dy", { elementType: "float32", shape: dyDims });
  const sum = reduceSum(b, emit(b, geometry), [0, 1, 2, 3], false);
  return medianRun(layerGraph(b, ["x", "dy"], [sum]), threads);
}

function gflops(
  { batch, inputChannels, outputChannels, kernel, output }: ConvGeometry,
  time: number,
): number {
  const products = batch * outputChannels * inputChannels * kernel[0] * kernel[1] * output[0] * output[1];
  return (2 * products) / time / 1e6;
}

/** x and dy as blocked values, which in a training step they are already. */
function blockedOperands(b: TypedBuilder, block: number): Layouts {
  const layouts = new Layouts(b, block, { types: new Map(b.types), values: new Map() }, new Map());
  for (const name of ["x", "dy"]) layouts.blocked(name);
  return layouts;
}

/** Milliseconds of a form on blocked values, without those of blocking x and dy for it. */
async function blockedMilliseconds(
  geometry: ConvGeometry,
  form: BlockedWeightGradient,
  block: number,
  threads: number,
): Promise<number> {
  const emit: Emit = (b) => blockedWeightGradients[form](blockedOperands(b, block), geometry, "x", "dy");
  const blocking: Emit = (b) => {
    const layouts = blockedOperands(b, block);
    const ends = ["x", "dy"].map((name) => slice(b, layouts.blocked(name), [{ axis: 0, start: 0, end: 1 }]));
    return ends.map((end) => reduceSum(b, end, [0, 1, 2, 3], true)).reduce((sum, end) => add(b, sum, end));
  };
  return (await milliseconds(geometry, emit, threads)) - (await milliseconds(geometry, blocking, threads));
}

const threads = Number(process.argv[2] ?? 2);
const block = await blockSize();
for (const shape of shapes) {
  const { batch, from, to, size, stride, kernel } = shape;
  const geometry = squareConv(shape);
  const cells: string[] = [];
  for (const formulation of Object.keys(weightGradients) as WeightGradientFormulation[]) {
    if (formulation === "shifts" && stride !== 1) continue;
    const emit: Emit = (b) => weightGradients[formulation](b, geometry, "x", "dy");
    const time = await milliseconds(geometry, emit, threads);
    cells.push(`${formulation} ${gflops(geometry, time).toFixed(0)}`);
  }
  for (const form of Object.keys(blockedWeightGradients) as BlockedWeightGradient[]) {
    if (block === undefined || from < block) continue;
    const time = await blockedMilliseconds(geometry, form, block, threads);
    cells.push(`blocked ${form} ${gflops(geometry, time).toFixed(0)}`);
  }
  console.log(`${from}->${to} @${size} s${stride} k${kernel} n${batch}: ${cells.join("  ")}`);
}
