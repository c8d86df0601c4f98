import fc from "fast-check";
import { float, int, ints } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { reduceMean } from "../src/ops/core/emit.js";
import { Network } from "./network.js";

/** One instruction of a random network; numbers are reduced to what is possible where it is carried out. */
export interface Instruction {
  readonly step: number;
  readonly from: number;
  readonly other: number;
  readonly size: number;
  readonly dead: readonly boolean[];
  readonly flag: boolean;
}

export const instruction: fc.Arbitrary<Instruction> = fc.record({
  step: fc.nat(1000),
  from: fc.nat(3),
  other: fc.nat(50),
  size: fc.integer({ min: 1, max: 7 }),
  dead: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
  flag: fc.boolean(),
});

/** A network under construction: all feature maps [N, C, H, W] made so far, the newest last. */
export interface State {
  readonly net: Network;
  readonly maps: string[];
}

/** Makes new maps of a map. */
export type Step = (state: State, x: string, instruction: Instruction) => string | readonly string[];

export const deadLanes = ({ dead }: Instruction, count: number): number[] =>
  Array.from({ length: count }, (_, lane) => lane).filter((lane) => dead[lane % dead.length] === true);

/** [C, H, W] of a map. */
export function mapDims({ net }: State, x: string): [channels: number, height: number, width: number] {
  const [, channels, height, width] = net.b.types.get(x)?.shape ?? [];
  return [Number(channels), Number(height), Number(width)];
}

const sameSize = (state: State, a: string, b: string): boolean => {
  const [[, h1, w1], [, h2, w2]] = [mapDims(state, a), mapDims(state, b)];
  return h1 === h2 && w1 === w2;
};

/** The shorter side. */
const shortSide = (state: State, x: string): number => Math.min(...mapDims(state, x).slice(1));

/** Another map that `fits`, or x convolved into something new of the same size. */
export function partner(state: State, x: string, at: Instruction, sameChannels: boolean): string {
  const { net, maps } = state;
  const fits = maps.filter(
    (map) => sameSize(state, map, x) && (!sameChannels || net.channels(map) === net.channels(x)),
  );
  const found = at.flag ? fits[at.other % Math.max(fits.length, 1)] : undefined;
  if (found !== undefined) return found;
  const count = sameChannels ? net.channels(x) : at.size;
  return net.conv(x, count, { kernel: 1, bias: true, deadOutputs: deadLanes(at, count) });
}

const activations: readonly Step[] = [
  ({ net }, x) => net.relu(x),
  ({ net }, x) => net.op("Sigmoid", [x]),
  ({ net }, x) => net.op("HardSwish", [x]),
  ({ net }, x) => net.op("LeakyRelu", [x], { alpha: float(0.2) }),
  ({ net }, x) => net.op("Clip", [x, net.b.scalar(-0.5), net.b.scalar(0.5)]),
  ({ net }, x) => net.op("PRelu", [x, net.parameter("slope", [net.channels(x), 1, 1])]),
];

const convolution: Step = (state, x, at) => {
  const { net } = state;
  const kernel = shortSide(state, x) >= 3 && at.other % 3 > 0 ? 3 : 1;
  return net.conv(x, at.size, {
    kernel,
    pad: kernel === 3 && (at.flag || shortSide(state, x) < 5) ? 1 : 0,
    stride: at.other % 7 === 0 && shortSide(state, x) > 4 ? 2 : 1,
    bias: at.other % 2 === 0,
    ...(at.from % 2 === 0
      ? { deadInputs: deadLanes(at, net.channels(x)) }
      : { deadOutputs: deadLanes(at, at.size) }),
    ...(kernel === 3 && at.other % 5 === 0 ? { basis: 4, deadBasis: at.flag ? [1] : [] } : {}),
  });
};

/** Steps all of whose operators have a gradient. */
export const trainableSteps: readonly Step[] = [
  convolution,
  convolution,
  convolution,
  ({ net }, x) => net.norm(x),
  (state, x, at) => state.net.relu(state.net.norm(convolution(state, x, at) as string)),
  (state, x, at) => (activations[at.other % activations.length] ?? convolution)(state, x, at),
  // Depthwise with one or two outputs per channel.
  ({ net }, x, at) =>
    net.conv(x, net.channels(x) * (at.flag ? 2 : 1), {
      group: net.channels(x),
      pad: 1,
      bias: true,
      ...(at.from === 0 ? { deadOutputs: deadLanes(at, net.channels(x)) } : {}),
    }),
  ({ net }, x, at) => {
    const groups = net.channels(x) % 2 === 0 ? 2 : 1;
    return net.conv(x, groups * at.size, { kernel: 1, group: groups, deadOutputs: deadLanes(at, at.size) });
  },
  (state, x, at) => state.net.op(at.other % 4 === 0 ? "Sub" : "Add", [x, partner(state, x, at, true)]),
  (state, x, at) => state.net.op("Mul", [state.net.op("Sigmoid", [partner(state, x, at, true)]), x]),
  (state, x, at) => state.net.op("Concat", [x, partner(state, x, at, false)], { axis: int(1) }),
  ({ net }, x, at) => {
    const count = net.channels(x);
    if (count < 2) return net.relu(x);
    const first = 1 + (at.other % (count - 1));
    const outputs = ["left", "right"].map((stem) => net.b.freshName(stem));
    net.b.emit("Split", [x, net.b.axes([first, count - first])], { outputs, attributes: { axis: int(1) } });
    return outputs;
  },
  ({ net }, x, at) => {
    const start = at.other % net.channels(x);
    return net.op("Slice", [x, net.b.axes([start]), net.b.axes([start + at.size]), net.b.axes([1])]);
  },
  ({ net }, x, at) =>
    net.op("Pad", [
      x,
      net.b.axes([0, at.other % 3, 0, 0, 0, at.size % 3, 0, 0]),
      net.b.scalar(at.flag ? 0.5 : 0),
    ]),
  ({ net }, x, at) =>
    net.op(
      "Pad",
      [x, net.b.axes([0, 0, 1, 0, 0, 0, 0, 1])],
      at.flag ? { mode: { kind: "string", value: "edge" } } : {},
    ),
  ({ net }, x) => net.op("MaxPool", [x], { kernel_shape: ints([2, 2]), pads: ints([1, 1, 0, 0]) }),
  ({ net }, x, at) =>
    net.op("AveragePool", [x], {
      kernel_shape: ints([2, 2]),
      pads: ints([0, 0, 1, 1]),
      count_include_pad: int(at.flag ? 1 : 0),
    }),
  ({ net }, x, at) => {
    const squeezed = net.relu(
      net.conv(net.op("GlobalAveragePool", [x]), at.size, { kernel: 1, deadOutputs: deadLanes(at, at.size) }),
    );
    const gate = net.conv(squeezed, net.channels(x), { kernel: 1, bias: true });
    return net.op("Mul", [x, net.op("HardSigmoid", [gate])]);
  },
  ({ net }, x) => net.op("Mul", [x, reduceMean(net.b, x, [2, 3], true)]),
  ({ net }, x, at) =>
    net.op(at.flag ? "Mul" : "Add", [
      net.parameter("operand", at.other % 2 === 0 ? [1, net.channels(x), 1, 1] : [1]),
      x,
    ]),
  ({ net }, x, at) => {
    const order = Array.from(
      { length: net.channels(x) },
      (_, lane) => (lane * 5 + at.other) % net.channels(x),
    );
    return net.op("Gather", [x, net.b.axes(order)], { axis: int(1) });
  },
  ({ net }, x) => {
    const count = net.channels(x);
    if (count % 2 !== 0) return net.relu(x);
    const [, , h = 1, w = 1] = net.b.types.get(x)?.shape?.map(Number) ?? [];
    const grouped = net.op("Reshape", [x, net.b.axes([-1, 2, count / 2, h, w])]);
    return net.op("Reshape", [
      net.op("Transpose", [grouped], { perm: ints([0, 2, 1, 3, 4]) }),
      net.b.axes([-1, count, h, w]),
    ]);
  },
  // A wall.
  ({ net }, x) => net.op("Softmax", [x], { axis: int(1) }),
  // One channel gates all.
  ({ net }, x) => net.op("Mul", [x, net.op("Sigmoid", [net.conv(x, 1, { kernel: 1 })])]),
];

/** Flatten -> Gemm -> Relu -> Gemm. */
function classifier(state: State, x: string, at: Instruction): string {
  const { net } = state;
  const flat = net.op("Flatten", [at.flag ? net.op("GlobalAveragePool", [x]) : x]);
  const hidden = net.relu(net.gemm(flat, 5, deadLanes(at, net.channels(flat))));
  return net.gemm(hidden, 3, deadLanes(at, 3));
}

/** Carries out a program. */
export function grow(net: Network, program: readonly Instruction[], steps: readonly Step[]): State {
  const state: State = { net, maps: [net.conv("x", 6, { pad: 1 })] };
  for (const at of program) {
    // Mostly the newest map, so that networks become deep.
    const x = state.maps.at(-1 - Math.min(at.from, state.maps.length - 1)) ?? "x";
    const made = (steps[at.step % steps.length] ?? convolution)(state, x, at);
    state.maps.push(...(typeof made === "string" ? [made] : made));
  }
  return state;
}

/** What the heads make of the newest map (the first head) or of any. */
export function headsOf(state: State, heads: readonly Instruction[], tables: readonly Step[]): string[] {
  return heads.flatMap((at, index) => {
    const x = state.maps.at(-1 - (index === 0 ? 0 : at.other % state.maps.length)) ?? "x";
    return (tables[at.step % tables.length] ?? simpleHead)(state, x, at);
  });
}

/** A large head is a classifier, another one a 1x1 convolution. */
export const simpleHead: Step = (state, x, at) =>
  at.size > 3
    ? classifier(state, x, at)
    : state.net.conv(x, 2, { kernel: 1, deadInputs: deadLanes(at, state.net.channels(x)) });

/** The network that a program makes, of steps that can be trained. */
export function networkOf(
  seed: number,
  program: readonly Instruction[],
  heads: readonly Instruction[],
): { net: Network; graph: Graph } {
  const net = new Network(seed);
  const state = grow(net, program, trainableSteps);
  return { net, graph: net.graph(headsOf(state, heads, [simpleHead])) };
}
