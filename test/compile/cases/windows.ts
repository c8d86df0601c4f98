import { int, ints, text } from "../../../src/graph/attributes.js";
import { elementCount, float32Tensor, int64Tensor } from "../../../src/graph/tensor.js";
import type { Attribute } from "../../../src/graph/types.js";
import {
  type CaseInput,
  type ContractCase,
  constant,
  evenRates,
  forcedRates,
  networkCase,
  opCase,
  outputOf,
  random,
  weight,
} from "../contract_case.js";

interface ConvForm {
  readonly name: string;
  readonly x: readonly number[];
  /** Output channels. */
  readonly outputs: number;
  readonly kernel: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly group?: number;
  readonly zeros?: number;
  readonly bias?: boolean;
}

const same = (pad: number): Readonly<Record<string, Attribute>> => ({ pads: ints([pad, pad, pad, pad]) });

const convForms: readonly ConvForm[] = [
  { name: "3x3", x: [1, 3, 8, 8], outputs: 5, kernel: [3, 3], attributes: same(1), bias: true },
  { name: "3x3 of two images", x: [2, 4, 6, 7], outputs: 9, kernel: [3, 3], attributes: same(1) },
  { name: "1x1", x: [1, 9, 5, 5], outputs: 17, kernel: [1, 1], bias: true },
  { name: "1x1 on one pixel", x: [1, 9, 1, 1], outputs: 17, kernel: [1, 1] },
  {
    name: "1x1 with a stride",
    x: [1, 5, 7, 9],
    outputs: 6,
    kernel: [1, 1],
    attributes: { strides: ints([2, 2]) },
  },
  { name: "3x3 on one pixel", x: [1, 4, 1, 1], outputs: 3, kernel: [3, 3], attributes: same(1), bias: true },
  { name: "rows narrower than a vector", x: [1, 3, 5, 3], outputs: 4, kernel: [3, 3], attributes: same(1) },
  { name: "rows of two", x: [1, 3, 2, 2], outputs: 12, kernel: [3, 3], attributes: same(1) },
  { name: "without padding", x: [1, 3, 7, 9], outputs: 4, kernel: [3, 3] },
  {
    name: "3x3 with a stride",
    x: [1, 3, 9, 11],
    outputs: 8,
    kernel: [3, 3],
    attributes: { ...same(1), strides: ints([2, 2]) },
  },
  {
    name: "strides 1 and 3",
    x: [1, 3, 8, 13],
    outputs: 5,
    kernel: [3, 3],
    attributes: { ...same(1), strides: ints([1, 3]) },
  },
  {
    name: "stride beyond the kernel",
    x: [1, 2, 11, 11],
    outputs: 3,
    kernel: [2, 2],
    attributes: { strides: ints([4, 4]) },
  },
  {
    name: "7x7 stem",
    x: [1, 3, 19, 19],
    outputs: 6,
    kernel: [7, 7],
    attributes: { ...same(3), strides: ints([2, 2]) },
    bias: true,
  },
  { name: "5x5", x: [1, 4, 7, 7], outputs: 5, kernel: [5, 5], attributes: same(2) },
  {
    name: "11x11 stem",
    x: [1, 3, 27, 27],
    outputs: 4,
    kernel: [11, 11],
    attributes: { ...same(2), strides: ints([4, 4]) },
  },
  { name: "1x7", x: [1, 4, 5, 9], outputs: 5, kernel: [1, 7], attributes: { pads: ints([0, 3, 0, 3]) } },
  { name: "7x1", x: [1, 4, 9, 5], outputs: 5, kernel: [7, 1], attributes: { pads: ints([3, 0, 3, 0]) } },
  { name: "2x4", x: [1, 4, 9, 5], outputs: 5, kernel: [2, 4], attributes: { pads: ints([1, 0, 0, 3]) } },
  {
    name: "dilated",
    x: [1, 3, 11, 12],
    outputs: 5,
    kernel: [3, 3],
    attributes: { ...same(2), dilations: ints([2, 2]) },
  },
  {
    name: "dilated with a stride",
    x: [1, 3, 11, 12],
    outputs: 5,
    kernel: [3, 3],
    attributes: { ...same(3), dilations: ints([3, 2]), strides: ints([2, 3]) },
  },
  {
    name: "asymmetric padding",
    x: [1, 3, 6, 7],
    outputs: 4,
    kernel: [3, 3],
    attributes: { pads: ints([0, 2, 1, 0]) },
  },
  {
    name: "SAME_UPPER",
    x: [1, 3, 6, 7],
    outputs: 4,
    kernel: [3, 2],
    attributes: { auto_pad: text("SAME_UPPER"), strides: ints([2, 2]) },
  },
  {
    name: "SAME_LOWER",
    x: [1, 3, 6, 7],
    outputs: 4,
    kernel: [2, 4],
    attributes: { auto_pad: text("SAME_LOWER") },
  },
  { name: "VALID", x: [1, 3, 6, 7], outputs: 4, kernel: [3, 3], attributes: { auto_pad: text("VALID") } },
  { name: "groups", x: [1, 6, 7, 7], outputs: 9, kernel: [3, 3], attributes: same(1), group: 3, bias: true },
  {
    name: "depthwise",
    x: [1, 7, 6, 9],
    outputs: 7,
    kernel: [3, 3],
    attributes: same(1),
    group: 7,
    bias: true,
  },
  {
    name: "depthwise with a stride",
    x: [2, 5, 9, 9],
    outputs: 5,
    kernel: [5, 5],
    attributes: { ...same(2), strides: ints([2, 2]) },
    group: 5,
  },
  {
    name: "depthwise with a multiplier",
    x: [1, 4, 6, 6],
    outputs: 12,
    kernel: [3, 3],
    attributes: same(1),
    group: 4,
  },
  { name: "depthwise 1x1", x: [1, 4, 6, 6], outputs: 4, kernel: [1, 1], group: 4, bias: true },
  {
    name: "one axis",
    x: [1, 4, 13],
    outputs: 5,
    kernel: [3],
    attributes: { pads: ints([1, 1]) },
    bias: true,
  },
  {
    name: "one axis, dilated",
    x: [2, 4, 23],
    outputs: 5,
    kernel: [5],
    attributes: { dilations: ints([3]), strides: ints([2]) },
  },
  { name: "one input, one output", x: [1, 1, 9, 9], outputs: 1, kernel: [3, 3], attributes: same(1) },
  {
    name: "mostly zeros",
    x: [1, 13, 8, 8],
    outputs: 11,
    kernel: [3, 3],
    attributes: same(1),
    zeros: 0.93,
    bias: true,
  },
  {
    name: "all zeros",
    x: [1, 3, 5, 5],
    outputs: 4,
    kernel: [3, 3],
    attributes: same(1),
    zeros: 1,
    bias: true,
  },
  { name: "wide rows", x: [1, 2, 3, 67], outputs: 3, kernel: [3, 3], attributes: same(1) },
];

const operands = ({
  x,
  outputs,
  kernel,
  group = 1,
  zeros = 0,
  bias = false,
}: ConvForm): readonly CaseInput[] => {
  const dims = [outputs, (x[1] ?? 1) / group, ...kernel];
  // Keeps the variance, as in trained networks: sums of hundreds of large terms would differ by more than the tolerance.
  const bound = Math.sqrt(3 / elementCount(dims.slice(1)));
  const weights = weight(dims, zeros, -bound, bound);
  return [random(x), weights, ...(bias ? [weight([outputs])] : [])];
};

const convAttributes = ({ attributes = {}, group = 1 }: ConvForm): Readonly<Record<string, Attribute>> => ({
  ...attributes,
  group: int(group),
});

const rates = { even: evenRates, dense: forcedRates.dense, sparse: forcedRates.sparse };

const convolutions = convForms.flatMap((form) =>
  Object.entries(rates).map(([kind, given]) =>
    opCase(
      { op: "Conv", inputs: operands(form), attributes: convAttributes(form) },
      { name: `${form.name}, ${kind}`, rates: given },
    ),
  ),
);

const vector = (...values: readonly number[]): CaseInput => constant(int64Tensor([values.length], values));

/** Conv whose weight is Reshape(MatMul(coefs, basis)). */
function decomposed(form: ConvForm, d: number, kind: keyof typeof forcedRates): ContractCase {
  const { x, outputs, kernel, zeros = 0, group = 1 } = form;
  const inputs = (x[1] ?? 1) / group;
  const taps = kernel.reduce((product, size) => product * size, 1);
  return networkCase(
    [
      { op: "MatMul", inputs: [weight([outputs, inputs, d], zeros), weight([d, taps])] },
      { op: "Reshape", inputs: [outputOf(0), vector(outputs, inputs, ...kernel)] },
      { op: "Conv", inputs: [random(x), outputOf(1), weight([outputs])], attributes: convAttributes(form) },
    ],
    { name: `${form.name}, d = ${d}, ${kind}`, rates: forcedRates[kind] },
  );
}

const decomposedForms: readonly ConvForm[] = [
  { name: "3x3", x: [1, 5, 8, 8], outputs: 7, kernel: [3, 3], attributes: same(1), zeros: 0.6 },
  { name: "3x3 narrow", x: [1, 5, 3, 3], outputs: 7, kernel: [3, 3], attributes: same(1), zeros: 0.6 },
  {
    name: "3x3 with a stride",
    x: [2, 5, 9, 7],
    outputs: 7,
    kernel: [3, 3],
    attributes: { ...same(1), strides: ints([2, 2]) },
    zeros: 0.8,
  },
  { name: "5x5 in groups", x: [1, 6, 9, 9], outputs: 8, kernel: [5, 5], attributes: same(2), group: 2 },
];

const decompositions = decomposedForms.flatMap((form) =>
  [1, 3, 5].flatMap((d) =>
    (["factored", "sparse", "dense"] as const).map((kind) => decomposed(form, d, kind)),
  ),
);

const shape = random([1, 6, 7, 7]);
const endings = (["dense", "sparse"] as const).flatMap((kind) => [
  networkCase(
    [
      { op: "Conv", inputs: [shape, weight([6, 6, 3, 3], 0.5), weight([6])], attributes: same(1) },
      { op: "Relu", inputs: [outputOf(0)] },
    ],
    { name: `at once, ${kind}`, rates: forcedRates[kind] },
  ),
  networkCase(
    [
      { op: "Conv", inputs: [shape, weight([6, 6, 3, 3], 0.5), weight([6])], attributes: same(1) },
      { op: "Add", inputs: [random([1, 6, 7, 7]), outputOf(0)] },
      {
        op: "Clip",
        inputs: [outputOf(1), constant(float32Tensor([], [-0.5])), constant(float32Tensor([], [1]))],
      },
    ],
    { name: `at once, ${kind}`, rates: forcedRates[kind] },
  ),
  networkCase(
    [
      { op: "Conv", inputs: [random([1, 6, 1, 1]), weight([9, 6, 1, 1], 0.5)] },
      { op: "Add", inputs: [outputOf(0), random([1, 9, 1, 1])] },
      { op: "Relu", inputs: [outputOf(1)] },
    ],
    { name: `on one pixel, ${kind}`, rates: forcedRates[kind] },
  ),
]);

const fusedDepthwise = networkCase(
  [
    {
      op: "Conv",
      inputs: [shape, weight([6, 1, 3, 3]), weight([6])],
      attributes: { ...same(1), group: int(6) },
    },
    { op: "Add", inputs: [outputOf(0), random([1, 6, 7, 7])] },
    { op: "Relu", inputs: [outputOf(1)] },
  ],
  { name: "depthwise at once" },
);

const twoBranches = networkCase(
  [
    { op: "Conv", inputs: [shape, weight([4, 6, 1, 1])] },
    { op: "Conv", inputs: [random([1, 5, 7, 7]), weight([4, 5, 3, 3])], attributes: same(1) },
    { op: "Add", inputs: [outputOf(0), outputOf(1)] },
    { op: "Neg", inputs: [outputOf(2)] },
  ],
  { name: "a sum of two convolutions" },
);

const boundedElsewhere = ["Add", "Sigmoid", "Max"].map((op) =>
  networkCase(
    [
      { op, inputs: op === "Sigmoid" ? [shape] : [shape, random([6, 1, 1])] },
      {
        op: "Clip",
        inputs: [outputOf(0), constant(float32Tensor([], [-0.5])), constant(float32Tensor([], [0.7]))],
      },
      { op: "Relu", inputs: [outputOf(1)] },
    ],
    { name: `of ${op}` },
  ),
);

const boundedNormalization = networkCase(
  [
    {
      op: "BatchNormalization",
      inputs: [shape, ...[1, 2, 3].map(() => weight([6])), weight([6], 0, 0.5, 2)],
    },
    { op: "Relu", inputs: [outputOf(0)] },
  ],
  { name: "alone" },
);

const specialNumbers = networkCase(
  [
    {
      op: "Conv",
      inputs: [
        random([1, 2, 5, 5]),
        constant(
          float32Tensor(
            [3, 2, 1, 1],
            [Number.NaN, 1, Number.POSITIVE_INFINITY, 1, Number.NEGATIVE_INFINITY, 1],
          ),
        ),
      ],
    },
  ],
  { name: "special weights" },
);

export const windowCases: readonly ContractCase[] = [
  ...convolutions,
  ...decompositions,
  ...endings,
  fusedDepthwise,
  twoBranches,
  ...boundedElsewhere,
  boundedNormalization,
  specialNumbers,
];
