import { attributes, float, int, ints, tensor } from "../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../src/graph/tensor.js";
import type { Graph, Shape } from "../src/graph/types.js";
import { add, reshape, slice, transpose, zeroPad } from "../src/ops/core/emit.js";
import { TypedBuilder } from "../src/ops/inference/builder.js";

/** One step of a random graph: what to emit, and numbers from which it draws its operands. */
export interface Step {
  readonly kind: number;
  readonly first: number;
  readonly second: number;
}

interface Growth {
  readonly builder: TypedBuilder;
  /** An image value [batch, C, H, W] and another of the same shape, if there is one. */
  readonly x: string;
  readonly twin: string;
  readonly shape: readonly [batch: string, channels: number, height: number, width: number];
  readonly step: Step;
}

const wave = (count: number, phase: number): number[] =>
  Array.from({ length: count }, (_, index) => Math.sin(1 + phase + 1.7 * index));

function convolution({ builder: b, x, shape: [, channels], step }: Growth): string {
  const outputs = 1 + (step.second % 4);
  const weight = b.floats("weight", [outputs, channels, 3, 3], wave(outputs * channels * 9, step.first));
  const inputs =
    step.first % 2 === 0 ? [x, weight] : [x, weight, b.floats("bias", [outputs], wave(outputs, 2))];
  const convolved = b.emit("Conv", inputs, { attributes: { pads: ints([1, 1, 1, 1]) } });
  return normalization(b, convolved, outputs);
}

function normalization(b: TypedBuilder, x: string, channels: number): string {
  const inputs = [0, 1, 2].map((phase) => b.floats("statistic", [channels], wave(channels, phase)));
  const variance = b.floats(
    "variance",
    [channels],
    wave(channels, 3).map((value) => 1.5 + value),
  );
  return b.emit("BatchNormalization", [x, ...inputs, variance], { attributes: { epsilon: float(0.01) } });
}

/** Reshape to a shape that is computed from the input's own, and back. */
function reshapeSoup({ builder: b, x, shape: [, channels, height, width] }: Growth): string {
  const shape = b.emit("Shape", [x]);
  const zero = b.emit("Constant", [], { attributes: { value: tensor(int64Tensor([], [0])) } });
  const batch = b.emit("Unsqueeze", [b.emit("Gather", [shape, zero]), b.axes([0])]);
  const flat = b.emit("Concat", [batch, b.axes([-1])], { attributes: { axis: int(0) } });
  const rest = b.emit("Slice", [shape, b.axes([1]), b.axes([99])]);
  const flattened = b.emit("Reshape", [x, flat]);
  const target = b.emit("Concat", [batch, rest], { attributes: { axis: int(0) } });
  // The builder cannot see through the soup; the dimensions are those of x.
  const restored = b.emit("Reshape", [flattened, target]);
  b.types.set(restored, { elementType: "float32", shape: ["batch", channels, height, width] });
  return restored;
}

function shuffle({ builder: b, x, shape: [, channels, height, width] }: Growth): string {
  if (channels % 2 !== 0) return b.emit("Relu", [x]);
  const grouped = reshape(b, x, [0, 2, channels / 2, height, width]);
  return reshape(b, transpose(b, grouped, [0, 2, 1, 3, 4]), [0, channels, height, width]);
}

const growths: readonly ((growth: Growth) => string)[] = [
  convolution,
  reshapeSoup,
  shuffle,
  ({ builder: b, x, twin }) => add(b, x, twin),
  ({ builder: b, x }) => b.emit("Relu", [x]),
  ({ builder: b, x }) => b.emit("Identity", [x]),
  ({ builder: b, x }) => b.emit("Dropout", [x]),
  ({ builder: b, x }) => b.emit("Cast", [x], { attributes: { to: int(1) } }),
  ({ builder: b, x }) => transpose(b, transpose(b, x, [0, 1, 3, 2]), [0, 1, 3, 2]),
  ({ builder: b, x }) => transpose(b, x, [0, 1, 2, 3]),
  ({ builder: b, x, step }) => zeroPad(b, x, [0, step.first % 2, 0, 0, 0, 0, 0, step.second % 2]),
  ({ builder: b, x, step }) => slice(b, x, [{ axis: 1 + (step.first % 3), start: 0, end: Infinity }]),
  ({ builder: b, x, shape: [, , height], step }) =>
    slice(b, slice(b, x, [{ axis: 2, start: 0, end: Infinity, step: height > 2 ? 2 : 1 }]), [
      { axis: 3, start: step.first % 2, end: Infinity },
    ]),
  ({ builder: b, x, twin }) => b.emit("Concat", [x, twin], { attributes: { axis: int(1) } }),
  ({ builder: b, x }) => b.emit("Squeeze", [b.emit("Unsqueeze", [x, b.axes([1])]), b.axes([1])]),
  ({ builder: b, x, shape: [, channels] }) => {
    const stored = b.floats("stored", [channels, 1, 1], wave(channels, 4));
    return add(b, x, transpose(b, b.emit("Identity", [stored]), [0, 2, 1]));
  },
];

export const growthCount = growths.length;

function imageShape(shape: Shape | undefined): Growth["shape"] | undefined {
  const [batch, channels, height, width] = shape ?? [];
  if (typeof batch !== "string" || shape?.length !== 4) return undefined;
  if (typeof channels !== "number" || typeof height !== "number" || typeof width !== "number")
    return undefined;
  return channels * height * width > 0 && channels <= 16 ? [batch, channels, height, width] : undefined;
}

/** A random network of input "x" [batch, 3, 6, 5], full of what exporters leave behind; the last two values are its outputs. */
export function randomGraph(steps: readonly Step[]): Graph {
  const builder = new TypedBuilder(13);
  const input = { name: "x", type: { elementType: "float32" as const, shape: ["batch", 3, 6, 5] } };
  builder.declare(input.name, input.type);
  const images = [input.name];
  for (const step of steps) {
    const x = images[step.first % images.length] ?? input.name;
    const shape = imageShape(builder.types.get(x)?.shape);
    const grow = growths[step.kind % growths.length];
    if (shape === undefined || grow === undefined) continue;
    const twins = images.filter((name) => sameShape(builder.types.get(name)?.shape, shape));
    const y = grow({ builder, x, twin: twins[step.second % twins.length] ?? x, shape, step });
    if (imageShape(builder.types.get(y)?.shape) !== undefined) images.push(y);
  }
  const outputs = new Set(images.slice(-2).filter((name) => name !== input.name));
  const named = outputs.size === 0 ? [builder.emit("Relu", [input.name])] : [...outputs];
  return {
    name: "random",
    opsets: new Map([["", 13]]),
    inputs: [input],
    outputs: named.map((name) => ({ name, type: builder.types.get(name) })),
    nodes: builder.nodes,
    initializers: builder.initializers,
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

function sameShape(a: Shape | undefined, b: Shape): boolean {
  return a?.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** A graph from its parts, for tests that write one by hand. */
export function graphOf(parts: Partial<Graph>): Graph {
  return {
    name: "test",
    opsets: new Map([["", 13]]),
    inputs: [],
    outputs: [],
    nodes: [],
    initializers: new Map(),
    valueInfo: new Map(),
    metadata: new Map(),
    ...parts,
  };
}

export const nodeOf = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributeEntries: Parameters<typeof attributes>[0] = {},
) => ({
  name: `${outputs[0]}/${op}`,
  op,
  domain: "",
  inputs,
  outputs,
  attributes: attributes(attributeEntries),
});

export const filled = (...dims: number[]) =>
  float32Tensor(
    dims,
    wave(
      dims.reduce((product, dim) => product * dim, 1),
      dims.length,
    ),
  );
