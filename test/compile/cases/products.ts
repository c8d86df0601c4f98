import { float, int, ints, text } from "../../../src/graph/attributes.js";
import type { Attribute } from "../../../src/graph/types.js";
import {
  type CaseInput,
  type ContractCase,
  networkCase,
  opCase,
  outputOf,
  random,
  weight,
} from "../contract_case.js";

const dimsOf = (input: CaseInput): string => ("dims" in input ? `[${input.dims}]` : "");

const factors: readonly (readonly [CaseInput, CaseInput])[] = [
  [random([3, 5]), weight([5, 7])],
  [random([1, 40]), weight([40, 70])],
  [random([7, 9]), random([9, 33])],
  [random([2, 3, 5]), weight([5, 4])],
  [random([2, 3, 5]), random([2, 5, 4])],
  [random([2, 1, 3, 5]), random([4, 5, 6])],
  [random([4, 5, 6]), random([2, 1, 6, 3])],
  [weight([3, 5]), random([5, 7])],
  [random([5]), random([5, 4])],
  [random([2, 3, 5]), random([5])],
  [random([6]), random([6])],
];

const matMuls = factors.map(([a, b], at) =>
  opCase({ op: "MatMul", inputs: [a, b] }, { name: `${at}: ${dimsOf(a)} by ${dimsOf(b)}` }),
);

const gemmForms: readonly (readonly [string, readonly CaseInput[], Readonly<Record<string, Attribute>>])[] = [
  ["classifier", [random([1, 33]), weight([10, 33]), weight([10])], { transB: int(1) }],
  ["rows", [random([9, 33]), weight([33, 21]), weight([21])], {}],
  ["without bias", [random([2, 5]), weight([5, 3])], {}],
  ["scaled", [random([2, 5]), weight([5, 13]), weight([13])], { alpha: float(0.5), beta: float(-2) }],
  ["computed factors", [random([2, 5]), random([5, 9]), random([2, 9])], {}],
  ["both turned", [random([5, 6]), random([9, 5]), random([6, 1])], { transA: int(1), transB: int(1) }],
  [
    "turned by any number but 0",
    [random([5, 6]), weight([9, 5]), random([6, 1])],
    { transA: int(2), transB: int(-3) },
  ],
  ["scalar bias", [random([3, 5]), weight([5, 9]), weight([])], { beta: float(3) }],
  ["one output", [random([3, 5]), weight([5, 1]), weight([1])], {}],
  ["matrix bias", [random([5, 6]), weight([6, 18]), weight([5, 18])], { alpha: float(2) }],
];

const gemms = gemmForms.map(([name, inputs, attributes]) =>
  opCase({ op: "Gemm", inputs, attributes }, { name }),
);

const normalized = networkCase(
  [
    {
      op: "Gemm",
      inputs: [random([3, 5]), weight([5, 4])],
      attributes: { alpha: float(0.5), beta: float(2) },
    },
    {
      op: "BatchNormalization",
      inputs: [outputOf(0), weight([4]), weight([4]), weight([4]), weight([4], 0, 0.5, 2)],
    },
  ],
  { name: "a scaled bias that is not there" },
);

interface TransposedForm {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly zeros?: number;
}

const transposedForms: readonly TransposedForm[] = [
  { x: [1, 4, 5, 5], w: [4, 3, 2, 2], attributes: { strides: ints([2, 2]) } },
  { x: [2, 3, 4, 5], w: [3, 5, 3, 3], attributes: {} },
  {
    x: [1, 3, 4, 5],
    w: [3, 2, 4, 4],
    attributes: { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
  },
  {
    x: [1, 3, 4, 5],
    w: [3, 2, 3, 3],
    attributes: { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]), output_padding: ints([1, 1]) },
  },
  { x: [1, 3, 4, 5], w: [3, 2, 3, 2], attributes: { strides: ints([3, 4]), dilations: ints([2, 1]) } },
  { x: [1, 4, 3, 3], w: [4, 2, 3, 3], attributes: { strides: ints([2, 1]), group: int(2) } },
  { x: [1, 4, 3, 3], w: [4, 1, 4, 4], attributes: { strides: ints([2, 2]), group: int(4) } },
  { x: [1, 3, 6], w: [3, 2, 4], attributes: { strides: ints([2]), pads: ints([1, 2]) } },
  { x: [1, 2, 4, 4], w: [2, 3, 3, 3], attributes: { strides: ints([2, 2]), auto_pad: text("SAME_UPPER") } },
  { x: [1, 2, 4, 4], w: [2, 3, 3, 3], attributes: { strides: ints([2, 2]), auto_pad: text("SAME_LOWER") } },
  { x: [1, 2, 4, 4], w: [2, 3, 5, 5], attributes: { strides: ints([2, 2]), output_shape: ints([9, 10]) } },
  { x: [1, 2, 3, 3], w: [2, 2, 5, 5], attributes: { pads: ints([3, 0, 2, 4]) } },
  { x: [1, 9, 7, 7], w: [9, 8, 3, 3], attributes: { strides: ints([2, 2]) }, zeros: 0.9 },
];

const transposed = transposedForms.flatMap(({ x, w, attributes, zeros = 0 }, at) => {
  const group = attributes.group?.kind === "int" ? Number(attributes.group.value) : 1;
  const outputs = (w[1] ?? 1) * group;
  return [
    opCase({ op: "ConvTranspose", inputs: [random(x), weight(w, zeros)], attributes }, { name: `${at}` }),
    opCase(
      { op: "ConvTranspose", inputs: [random(x), weight(w, zeros), weight([outputs])], attributes },
      { name: `${at}, with bias` },
    ),
  ];
});

export const productCases: readonly ContractCase[] = [...matMuls, ...gemms, normalized, ...transposed];
