/**
 * Milliseconds of a decomposed convolution in a training step (forward, gradients to its input and to the factor that
 * trains), with its kernels merged and in two stages, by shape:
 * `npm run build && node dist/bench/factored.js [THREADS [BASIS]]`
 */
import { blockSize } from "../src/execute/block_size.js";
import { int, ints } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { PENNI_DOMAIN } from "../src/ops/core/composite.js";
import { matMul, reduceSum, reshape } from "../src/ops/core/emit.js";
import { TypedBuilder } from "../src/ops/inference/builder.js";
import { blockLayout } from "../src/train/blocked/pass.js";
import { buildGradients } from "../src/train/gradients.js";
import { type DecomposedPhase, decomposedPhases } from "../support/benchmark_training.js";
import { layerGraph, milliseconds } from "../support/single_layers.js";

interface Shape {
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
}

const shapes: readonly Shape[] = [
  { batch: 128, channels: 16, size: 32 },
  { batch: 128, channels: 32, size: 16 },
  { batch: 128, channels: 64, size: 8 },
  { batch: 64, channels: 64, size: 32 },
  { batch: 64, channels: 128, size: 16 },
  { batch: 64, channels: 256, size: 8 },
  { batch: 64, channels: 512, size: 4 },
  { batch: 64, channels: 512, size: 2 },
];
const TAPS = 9;

type Form = "merged" | "factored";

/** y from x; both forms compute the same. */
function convolution(b: TypedBuilder, form: Form, channels: number): string {
  const attributes = {
    kernel_shape: ints([3, 3]),
    pads: ints([1, 1, 1, 1]),
    strides: ints([1, 1]),
    dilations: ints([1, 1]),
    group: int(1),
  };
  const x = b.emit("Relu", ["x"]);
  if (form === "factored")
    return b.emit("FactoredConv", [x, "coefs", "basis"], { domain: PENNI_DOMAIN, attributes });
  const weight = reshape(b, matMul(b, "coefs", "basis"), [channels, channels, 3, 3]);
  return b.emit("Conv", [x, weight], { attributes });
}

/** The sums of everything that the layer computes in a step. */
function stepGraph(
  { batch, channels, size }: Shape,
  d: number,
  step: { form: Form; phase: DecomposedPhase },
): Graph {
  const dims = {
    x: [batch, channels, size, size],
    coefs: [channels, channels, d],
    basis: [d, TAPS],
  };
  const b = new TypedBuilder(13);
  for (const [name, shape] of Object.entries(dims)) b.declare(name, { elementType: "float32", shape });
  const total = (name: string): string =>
    reduceSum(
      b,
      name,
      b.dims(name).map((_, axis) => axis),
      false,
    );
  const outputs = differentiated(b, channels, step, total);
  return layerGraph(b, Object.keys(dims), outputs);
}

function differentiated(
  b: TypedBuilder,
  channels: number,
  { form, phase }: { form: Form; phase: DecomposedPhase },
  total: (name: string) => string,
): string[] {
  const y = convolution(b, form, channels);
  const loss = total(b.emit("Mul", [y, y]));
  const trained = phase === "coefficients" ? "coefs" : "basis";
  const gradients = buildGradients(b, [...b.nodes], loss, ["x", trained]);
  return [loss, ...[...gradients.values()].map(total)];
}

const threads = Number(process.argv[2] ?? 2);
const basis = Number(process.argv[3] ?? 5);
const block = await blockSize();
if (block === undefined) throw new Error("this build of ONNX Runtime has no blocked layout here");
for (const shape of shapes) {
  const cells: string[] = [];
  for (const phase of decomposedPhases) {
    const [merged, factored] = [
      await milliseconds(blockLayout(stepGraph(shape, basis, { form: "merged", phase }), block), threads),
      await milliseconds(blockLayout(stepGraph(shape, basis, { form: "factored", phase }), block), threads),
    ];
    cells.push(`${phase} ${merged.toFixed(1)} -> ${factored.toFixed(1)} (${(factored / merged).toFixed(2)})`);
  }
  console.log(`${shape.channels} @ ${shape.size}x${shape.size}, n ${shape.batch}: ${cells.join("   ")}`);
}
