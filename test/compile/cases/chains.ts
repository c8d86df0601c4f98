import { int, ints } from "../../../src/graph/attributes.js";
import { float32Tensor } from "../../../src/graph/tensor.js";
import { randomSource } from "../../../support/opcase.js";
import {
  type CaseInput,
  type CaseNode,
  type ContractCase,
  constant,
  forcedRates,
  networkCase,
  outputOf,
  random,
  weight,
} from "../contract_case.js";

// What follows an operation element by element, and is computed by its kernel as far as nobody else reads between.

const scalar = (value: number): CaseInput => constant(float32Tensor([], [value]));
const same = { pads: ints([1, 1, 1, 1]) };

type Producer = (dims: readonly [number, number, number, number]) => CaseNode;

/** What makes [N, C, H, W]. */
const producers = {
  dense: ([n, c, h, w]) => ({
    op: "Conv",
    inputs: [random([n, 5, h, w]), weight([c, 5, 3, 3], 0, -0.3, 0.3), weight([c])],
    attributes: same,
  }),
  sparse: ([n, c, h, w]) => ({
    op: "Conv",
    inputs: [random([n, 5, h, w]), weight([c, 5, 3, 3], 0.6, -0.3, 0.3), weight([c])],
    attributes: same,
  }),
  tiles: ([n, c, h, w]) => ({
    op: "Conv",
    inputs: [random([n, 5, h, w]), weight([c, 5, 3, 3], 0, -0.3, 0.3), weight([c])],
    attributes: same,
  }),
  pointwise: ([n, c, h, w]) => ({
    op: "Conv",
    inputs: [random([n, 4, h, w]), weight([c, 4, 1, 1])],
  }),
  depthwise: ([n, c, h, w]) => ({
    op: "Conv",
    inputs: [random([n, c, h, w]), weight([c, 1, 3, 3]), weight([c])],
    attributes: { ...same, group: int(c) },
  }),
  sum: ([n, c, h, w]) => ({ op: "Add", inputs: [random([n, c, h, w]), random([c, 1, 1])] }),
  normalization: ([n, c, h, w]) => ({
    op: "BatchNormalization",
    inputs: [random([n, c, h, w]), ...[1, 2, 3].map(() => weight([c])), weight([c], 0, 0.5, 2)],
  }),
} as const satisfies Readonly<Record<string, Producer>>;

type ProducerName = keyof typeof producers;
const producerNames = Object.keys(producers) as readonly ProducerName[];

const ratesOf = (name: ProducerName) =>
  name === "sparse" || name === "tiles" ? forcedRates[name] : forcedRates.dense;

type Dims = readonly [number, number, number, number];

const silu: readonly CaseNode[] = [
  { op: "Sigmoid", inputs: [outputOf(0)] },
  { op: "Mul", inputs: [outputOf(0), outputOf(1)] },
];

/** Each begins with node 1 and follows node 0, of the dimensions given. */
const chains: Readonly<Record<string, (dims: Dims) => readonly CaseNode[]>> = {
  sigmoid: () => [{ op: "Sigmoid", inputs: [outputOf(0)] }],
  silu: () => silu,
  "silu and sum": (dims) => [...silu, { op: "Add", inputs: [random(dims), outputOf(2)] }],
  "sum and silu": (dims) => [
    { op: "Add", inputs: [outputOf(0), random(dims)] },
    { op: "Sigmoid", inputs: [outputOf(1)] },
    { op: "Mul", inputs: [outputOf(1), outputOf(2)] },
  ],
  "hard-swish": () => [
    { op: "Add", inputs: [outputOf(0), scalar(3)] },
    { op: "Clip", inputs: [outputOf(1), scalar(0), scalar(6)] },
    { op: "Mul", inputs: [outputOf(0), outputOf(2)] },
    { op: "Div", inputs: [outputOf(3), scalar(6)] },
  ],
  "itself twice": () => [
    { op: "Mul", inputs: [outputOf(0), outputOf(0)] },
    { op: "Max", inputs: [outputOf(1), scalar(0.5), outputOf(0)] },
  ],
  "a constant of a power": () => [{ op: "Pow", inputs: [outputOf(0), scalar(2)] }],
  "two others": (dims) => [
    { op: "Mul", inputs: [outputOf(0), random(dims)] },
    { op: "Sub", inputs: [random(dims), outputOf(1)] },
    { op: "Tanh", inputs: [outputOf(2)] },
  ],
};

const ofEveryProducer = producerNames.flatMap((producer) =>
  Object.entries(chains).flatMap(([name, chain]) =>
    [[1, 6, 9, 11] as const, [2, 3, 3, 5] as const].map((dims) =>
      networkCase([producers[producer](dims), ...chain(dims)], {
        name: `${name} behind ${producer}, ${dims.join(" x ")}`,
        rates: ratesOf(producer),
      }),
    ),
  ),
);

const dims = [1, 6, 7, 7] as const;
/** Chains that end early: what is between is read elsewhere too, or an operand has another shape or type. */
const notAtOnce: readonly ContractCase[] = [
  networkCase([producers.dense(dims), ...silu], { name: "compared in between", compared: [0, 2] }),
  networkCase([producers.dense(dims), ...silu], { name: "compared within", compared: [1, 2] }),
  networkCase(
    [
      producers.dense(dims),
      ...silu,
      { op: "GlobalAveragePool", inputs: [outputOf(0)] },
      { op: "Mul", inputs: [outputOf(2), outputOf(3)] },
    ],
    { name: "read by a mean" },
  ),
  networkCase(
    [
      producers.dense([1, 6, 7, 1]),
      { op: "Mul", inputs: [outputOf(0), random(dims)] },
      { op: "Relu", inputs: [outputOf(1)] },
    ],
    { name: "made wider" },
  ),
  networkCase(
    [
      producers.dense(dims),
      { op: "Mul", inputs: [outputOf(0), random([6, 1, 1])] },
      { op: "Sigmoid", inputs: [outputOf(1)] },
    ],
    { name: "a gate for each channel" },
  ),
  networkCase(
    [
      producers.dense(dims),
      { op: "Mul", inputs: [outputOf(0), weight([6, 1, 1])] },
      { op: "Add", inputs: [outputOf(1), weight([7])] },
      { op: "Sigmoid", inputs: [outputOf(2)] },
    ],
    { name: "constants of other shapes" },
  ),
  networkCase(
    [
      producers.dense(dims),
      { op: "Cast", inputs: [outputOf(0)], attributes: { to: int(6) } },
      { op: "Mul", inputs: [outputOf(1), outputOf(1)] },
      { op: "Cast", inputs: [outputOf(2)], attributes: { to: int(1) } },
      { op: "Sigmoid", inputs: [outputOf(3)] },
    ],
    { name: "integers in between" },
  ),
  networkCase(
    [
      producers.dense(dims),
      { op: "Less", inputs: [outputOf(0), scalar(0)] },
      { op: "Where", inputs: [outputOf(1), scalar(0), outputOf(0)] },
      { op: "Sqrt", inputs: [outputOf(2)] },
    ],
    { name: "truth in between" },
  ),
  networkCase(
    [
      producers.dense(dims),
      producers.pointwise(dims),
      { op: "Sigmoid", inputs: [outputOf(1)] },
      { op: "Mul", inputs: [outputOf(0), outputOf(2)] },
      { op: "Relu", inputs: [outputOf(3)] },
    ],
    { name: "of two convolutions" },
  ),
];

const RANDOM_COUNT = 40;
const LONGEST = 6;

/** A producer and steps that read what the ones before made, constants and values from outside; any may be compared. */
function randomChain(at: number): ContractCase {
  const next = randomSource(3000 + at);
  const below = (count: number): number => Math.floor(next() * count);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] ?? (list[0] as T);
  const size = [1 + below(2), 1 + below(9), 1 + below(13), 1 + below(13)] as const;
  const producer = pick(producerNames);
  const nodes: CaseNode[] = [producers[producer](size)];
  const steps = 1 + below(LONGEST);
  for (let step = 0; step < steps; step++) {
    const last = outputOf(nodes.length - 1);
    const other = pick<CaseInput>([
      outputOf(below(nodes.length)),
      scalar(0.5 + next()),
      random(size),
      random([size[1], 1, 1]),
    ]);
    nodes.push(
      pick<CaseNode>([
        { op: pick(["Sigmoid", "Tanh", "HardSwish", "Relu", "Softplus", "Abs"]), inputs: [last] },
        { op: pick(["Add", "Mul", "Sub", "Max"]), inputs: next() < 0.5 ? [last, other] : [other, last] },
      ]),
    );
  }
  const compared = next() < 0.3 ? [...new Set([below(nodes.length), nodes.length - 1])] : [nodes.length - 1];
  return networkCase(nodes, {
    name: `random chain ${at} behind ${producer}`,
    rates: ratesOf(producer),
    compared,
  });
}

export const chainCases: readonly ContractCase[] = [
  ...ofEveryProducer,
  ...notAtOnce,
  ...Array.from({ length: RANDOM_COUNT }, (_, at) => randomChain(at)),
];
