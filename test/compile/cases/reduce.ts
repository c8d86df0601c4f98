import { float, int, ints } from "../../../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../../../src/graph/tensor.js";
import {
  type CaseInput,
  type ContractCase,
  constant,
  fed,
  opCase,
  random,
  weight,
} from "../contract_case.js";

const vector = (...values: readonly number[]): CaseInput => constant(int64Tensor([values.length], values));

const reductions = [
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceMax",
  "ReduceMean",
  "ReduceMin",
  "ReduceProd",
  "ReduceSum",
  "ReduceSumSquare",
];

/** Shapes and axes: last, first, middle, several apart, all; runs shorter and longer than vectors. */
const shapes: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[3, 7], [1]],
  [[3, 37], [-1]],
  [[5, 9], [0]],
  [[2, 5, 3, 4], [1]],
  [
    [2, 5, 3, 7],
    [2, 3],
  ],
  [
    [2, 3, 5, 17],
    [0, 3],
  ],
  [
    [2, 3, 5, 2],
    [0, 2],
  ],
  [
    [4, 5, 6],
    [0, 1, 2],
  ],
  [[1, 6, 1, 1], [1]],
  [[13], [0]],
];

const reduceCases = reductions.flatMap((op) => {
  const range = op === "ReduceProd" || op === "ReduceLogSum" ? ([0.5, 1.5] as const) : ([-2, 2] as const);
  return [
    ...shapes.map(([dims, axes]) =>
      opCase({ op, inputs: [random(dims, ...range), vector(...axes)] }, { name: `[${dims}] over [${axes}]` }),
    ),
    opCase({ op, inputs: [random([2, 3, 5], ...range)] }, { name: "everything" }),
    opCase(
      { op, inputs: [random([2, 3, 5], ...range), vector(1)], attributes: { keepdims: int(0) } },
      { name: "without keepdims" },
    ),
    opCase(
      { op, inputs: [random([2, 3], ...range), vector()], attributes: { noop_with_empty_axes: int(1) } },
      { name: "of nothing" },
    ),
  ];
});

const attributeForm = ["ReduceMax", "ReduceMean"].map((op) =>
  opCase(
    { op, inputs: [random([2, 3, 5])], attributes: { axes: ints([1]) } },
    { name: "axes as attribute", opset: 17 },
  ),
);

const infinities = [
  [-Infinity, 1, 2],
  [Infinity, 1, 2],
  [-Infinity, -Infinity, -Infinity],
].map((values, at) =>
  opCase(
    { op: "ReduceLogSumExp", inputs: [fed(float32Tensor([3], values)), vector(0)] },
    { name: `infinite ${at}` },
  ),
);

const searches = [0, 1, 2, -1].flatMap((axis) => [
  opCase(
    { op: "ArgMax", inputs: [random([3, 5, 9])], attributes: { axis: int(axis) } },
    { name: `axis ${axis}` },
  ),
  opCase(
    {
      op: "ArgMax",
      inputs: [
        fed(
          float32Tensor(
            [2, 3, 4],
            Array.from({ length: 24 }, (_, at) => (at * 7) % 3),
          ),
        ),
      ],
      attributes: { axis: int(axis), select_last_index: int(1), keepdims: int(0) },
    },
    { name: `last of equals, axis ${axis}` },
  ),
]);

const softmaxes = ["Softmax", "LogSoftmax"].flatMap((op) => [
  ...[0, 1, 2, -1].map((axis) =>
    opCase(
      { op, inputs: [random([2, 5, 9], -9, 9)], attributes: { axis: int(axis) } },
      { name: `axis ${axis}` },
    ),
  ),
  opCase({ op, inputs: [random([3, 4, 5])], attributes: { axis: int(1) } }, { name: "flattened", opset: 11 }),
  opCase({ op, inputs: [random([1, 1000], -20, 20)] }, { name: "1000 classes" }),
  opCase(
    { op, inputs: [fed(float32Tensor([3, 3], [Number.NaN, 1, 2, Infinity, 1, 2, -Infinity, 1, 2]))] },
    { name: "special numbers" },
  ),
]);

const pools = ["GlobalAveragePool", "GlobalMaxPool"].flatMap((op) =>
  [
    [2, 3, 7, 7],
    [1, 5, 1, 1],
    [2, 3, 11],
    [1, 2, 3, 4, 5],
  ].map((dims) => opCase({ op, inputs: [random(dims)] }, { name: `[${dims}]` })),
);

const normalizations = [
  ...[
    [[2, 3, 5], -1, [5]],
    [[2, 3, 17], 1, [3, 17]],
    [[1, 7, 4], -1, [4]],
  ].map(([dims, axis, parameters]) =>
    opCase(
      {
        op: "LayerNormalization",
        inputs: [
          random(dims as number[], -3, 5),
          weight(parameters as number[]),
          weight(parameters as number[]),
        ],
        attributes: { axis: int(axis as number), epsilon: float(1e-3) },
      },
      { name: `[${dims}] from ${axis}` },
    ),
  ),
  opCase(
    { op: "LayerNormalization", inputs: [random([2, 9]), weight([9])], outputs: 3 },
    { name: "with statistics" },
  ),
  ...[
    [2, 3, 5, 4],
    [1, 4, 9],
  ].map((dims) =>
    opCase(
      { op: "InstanceNormalization", inputs: [random(dims), weight([dims[1] ?? 1]), weight([dims[1] ?? 1])] },
      { name: `[${dims}]` },
    ),
  ),
  opCase(
    {
      op: "GroupNormalization",
      inputs: [random([2, 6, 3, 5]), weight([3]), weight([3])],
      attributes: { num_groups: int(3) },
    },
    { name: "per group" },
  ),
  opCase(
    {
      op: "GroupNormalization",
      inputs: [random([2, 6, 3, 5]), weight([6]), weight([6])],
      attributes: { num_groups: int(2) },
    },
    { name: "per channel", opset: 21 },
  ),
  opCase(
    {
      op: "BatchNormalization",
      inputs: [random([2, 5, 3, 3]), ...[1, 2, 3].map(() => weight([5])), weight([5], 0, 0.5, 2)],
    },
    { name: "alone" },
  ),
  ...[
    [5, 3],
    [3, 7],
    [3, 2],
    // Looped over; more neighbours than there are channels; so many that only their number counts.
    [19, 23],
    [33, 9],
    [2001, 5],
  ].map(([size = 1, channels = 1]) =>
    opCase(
      {
        op: "LRN",
        inputs: [random([2, channels, 3, 5], -3, 3)],
        attributes: { size: int(size), alpha: float(0.3), beta: float(0.6), bias: float(1.5) },
      },
      { name: `${size} of ${channels} channels` },
    ),
  ),
];

export const reductionCases: readonly ContractCase[] = [
  ...reduceCases,
  ...attributeForm,
  ...infinities,
  ...searches,
  ...softmaxes,
  ...pools,
  ...normalizations,
];
