import { float, int, text } from "../../../src/graph/attributes.js";
import { float32Tensor, int64Tensor, scalarTensor } from "../../../src/graph/tensor.js";
import type { Attribute } from "../../../src/graph/types.js";
import {
  type CaseInput,
  type ContractCase,
  constant,
  fed,
  omitted,
  opCase,
  random,
  weight,
} from "../contract_case.js";

const special = [Number.NaN, Infinity, -Infinity, 0, 1, -1, 0.5, -0.5, 1.5, 2.5, -1.5, -2.5, 100, -100];
const huge = [88.5, -88, -90, -104, 1e-30, 1e-40, 1e30, -1e30, 3e38, 16777217, 1e-4, -1e-4, 20.5, 3.7];
const extremes = fed(float32Tensor([special.length + huge.length + 1], [...special, ...huge, 7]));
const odd = random([2, 3, 7], -6, 6);

const bools = (dims: readonly number[], values: readonly number[]): CaseInput =>
  fed({ type: "bool", dims, bytes: Uint8Array.from(values) });

interface Unary {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly opset?: number;
  readonly range?: readonly [number, number];
}

const unary: readonly (readonly [string, Unary])[] = [
  ...[
    "Abs",
    "Ceil",
    "Floor",
    "Erf",
    "Exp",
    "Neg",
    "Reciprocal",
    "Relu",
    "Round",
    "Sigmoid",
    "Sign",
    "Softplus",
  ].map((op) => [op, {}] as const),
  ...["Softsign", "Tanh", "Identity", "Dropout"].map((op) => [op, {}] as const),
  ["Log", { range: [1e-3, 9] }],
  ["Sqrt", { range: [0, 9] }],
  ["Celu", {}],
  ["Celu", { attributes: { alpha: float(0.4) } }],
  ["Elu", {}],
  ["Elu", { attributes: { alpha: float(1.7) } }],
  ["Selu", {}],
  ["Selu", { attributes: { alpha: float(2), gamma: float(0.5) } }],
  ["LeakyRelu", {}],
  ["LeakyRelu", { attributes: { alpha: float(0.3) } }],
  ["HardSigmoid", {}],
  ["HardSigmoid", { attributes: { alpha: float(0.5), beta: float(0.4) } }],
  ["HardSwish", {}],
  ["ThresholdedRelu", {}],
  ["ThresholdedRelu", { attributes: { alpha: float(-0.3) } }],
  ["Mish", {}],
  ["Gelu", { opset: 20 }],
  ["Gelu", { opset: 20, attributes: { approximate: text("tanh") } }],
  ["Cast", { attributes: { to: int(1) } }],
];

const unaryCases = unary.flatMap(
  ([op, { attributes = {}, opset = 18, range = [-6, 6] }], at): ContractCase[] => [
    opCase({ op, attributes, inputs: [random([2, 3, 7], range[0], range[1])] }, { opset, name: `${at}` }),
    opCase({ op, attributes, inputs: [extremes] }, { opset, name: `${at}, special numbers` }),
  ],
);

const pairsLeft = special.flatMap((x) => special.map(() => x));
const pairsRight = special.flatMap(() => special);
const left = fed(float32Tensor([pairsLeft.length], pairsLeft));
const right = fed(float32Tensor([pairsRight.length], pairsRight));

const binaryOps = ["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Pow", "PRelu"];
const comparisons = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"];

const binaryCases = [...binaryOps, ...comparisons].flatMap((op) => {
  const range = op === "Pow" ? ([0.1, 3] as const) : ([-3, 3] as const);
  return [
    opCase(
      { op, inputs: [random([2, 3, 5], ...range), random([2, 3, 5], ...range)] },
      { name: "same shape" },
    ),
    opCase({ op, inputs: [random([2, 3, 5], ...range), random([3, 1], ...range)] }, { name: "broadcast" }),
    opCase({ op, inputs: [random([2, 3, 5], ...range), weight([5])] }, { name: "constant" }),
    ...(op === "PRelu"
      ? []
      : [
          opCase(
            { op, inputs: [random([4, 1], ...range), random([2, 1, 9], ...range)] },
            { name: "both broadcast" },
          ),
        ]),
    opCase({ op, inputs: [left, right] }, { name: "special numbers" }),
  ];
});

const powers = [-1, 0, 0.5, 1, 2, 3, -2.5].map((exponent) =>
  opCase(
    { op: "Pow", inputs: [random([9], 0.2, 4), constant(scalarTensor(exponent))] },
    { name: `to the ${exponent}` },
  ),
);

const bases = [1e-30, 0.001, 0.9999, 1.0001, 1.5, 3, 1e5, 1e30];
const exponents = [-7.3, -1, -0.37, 0.21, 1, 2.5, 7.1, 1000];
const widePower = opCase(
  {
    op: "Pow",
    inputs: [fed(float32Tensor([8, 1], bases)), fed(float32Tensor([8], exponents))],
  },
  { name: "wide range" },
);

const integers = (...values: readonly number[]): CaseInput => fed(int64Tensor([values.length], values));

const integerCases = [
  opCase(
    { op: "Div", inputs: [integers(7, -7, 7, -7, 0, 9), integers(2, 2, -2, -2, 3, 3)] },
    { name: "integers" },
  ),
  opCase(
    { op: "Mod", inputs: [integers(7, -7, 7, -7, 0, 9), integers(3, 3, -3, -3, 3, 3)] },
    { name: "integers" },
  ),
  opCase(
    { op: "Mod", attributes: { fmod: int(1) }, inputs: [random([5, 9], -9, 9), random([9], 0.3, 4)] },
    { name: "fmod" },
  ),
  opCase(
    {
      op: "Mod",
      attributes: { fmod: int(1) },
      inputs: [
        fed(float32Tensor([7], [5.5, -5.5, 5.5, Infinity, 1, Number.NaN, 3])),
        fed(float32Tensor([7], [2, 2, -2, 2, 0, 1, Infinity])),
      ],
    },
    { name: "fmod, special numbers" },
  ),
  opCase({ op: "Cast", attributes: { to: int(7) }, inputs: [random([3, 5], -9, 9)] }, { name: "to int64" }),
  opCase(
    { op: "Cast", attributes: { to: int(9) }, inputs: [fed(float32Tensor([5], [0, 1, -2, 0.5, 0]))] },
    { name: "to bool" },
  ),
  opCase(
    { op: "Cast", attributes: { to: int(1) }, inputs: [bools([5], [0, 1, 1, 0, 1])] },
    { name: "from bool" },
  ),
];

const truths = bools([2, 5], [0, 1, 1, 0, 1, 1, 0, 0, 1, 0]);
const others = bools([5], [1, 1, 0, 0, 1]);

const logicalCases = [
  ...["And", "Or", "Xor"].map((op) => opCase({ op, inputs: [truths, others] })),
  opCase({ op: "Not", inputs: [truths] }),
  opCase({ op: "Where", inputs: [truths, random([2, 5]), random([2, 1])] }),
  opCase(
    { op: "Where", inputs: [bools([5, 1], [0, 1, 0, 1, 1]), random([1]), random([2, 1, 3])] },
    { name: "all broadcast" },
  ),
];

const bounds = (low: number | undefined, high: number | undefined): readonly CaseInput[] =>
  [low, high].map((value) => (value === undefined ? omitted : constant(scalarTensor(value))));

const variadicCases = [
  ...["Max", "Min", "Sum"].flatMap((op) => [
    opCase({ op, inputs: [odd] }, { name: "of one" }),
    opCase({ op, inputs: [odd, random([3, 1]), random([7]), random([])] }, { name: "of four" }),
    // More than one kernel takes, first and last ones broadcast.
    opCase(
      { op, inputs: [random([7]), ...Array.from({ length: 40 }, () => odd), random([3, 1])] },
      { name: "of forty-two" },
    ),
  ]),
  opCase({ op: "Clip", inputs: [odd, ...bounds(-0.5, 1.5)] }, { name: "two bounds" }),
  opCase({ op: "Clip", inputs: [odd, ...bounds(undefined, 1.5)] }, { name: "upper bound" }),
  opCase({ op: "Clip", inputs: [odd, ...bounds(0.25, undefined)] }, { name: "lower bound" }),
  opCase({ op: "Clip", inputs: [odd] }, { name: "no bounds" }),
  opCase({ op: "Clip", inputs: [odd, ...bounds(2, 1)] }, { name: "crossed bounds" }),
  opCase({ op: "Clip", inputs: [odd, ...bounds(-Infinity, Infinity)] }, { name: "infinite bounds" }),
  opCase({ op: "Clip", inputs: [odd, ...bounds(Infinity, 1.5)] }, { name: "an infinite lower bound" }),
  opCase({ op: "Clip", inputs: [odd, ...bounds(undefined, -Infinity)] }, { name: "an infinite upper bound" }),
  opCase({ op: "Clip", inputs: [extremes, ...bounds(-0.5, 1.5)] }, { name: "special numbers" }),
  opCase({ op: "Clip", inputs: [odd, random([], -1, 0), random([], 0, 1)] }, { name: "computed bounds" }),
  opCase({ op: "Clip", inputs: [odd, omitted, random([], 0, 1)] }, { name: "computed upper bound" }),
  opCase(
    { op: "Clip", inputs: [odd, ...bounds(-0.5, undefined).slice(0, 1), random([], 0, 1)] },
    { name: "one computed" },
  ),
  opCase(
    { op: "Clip", inputs: [extremes, random([], 2, 3), random([], 0, 1)] },
    { name: "computed, crossed" },
  ),
  opCase({ op: "Dropout", inputs: [odd], outputs: 2 }, { name: "with mask" }),
];

export const elementwiseCases: readonly ContractCase[] = [
  ...unaryCases,
  ...binaryCases,
  ...powers,
  widePower,
  ...integerCases,
  ...logicalCases,
  ...variadicCases,
];
