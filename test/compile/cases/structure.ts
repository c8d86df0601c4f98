import { float, floats, int, ints, tensor, text } from "../../../src/graph/attributes.js";
import { float32Tensor, int64Tensor, scalarTensor } from "../../../src/graph/tensor.js";
import type { Attribute } from "../../../src/graph/types.js";
import {
  type CaseInput,
  type ContractCase,
  constant,
  fed,
  networkCase,
  omitted,
  opCase,
  outputOf,
  random,
  weight,
} from "../contract_case.js";

const vector = (...values: readonly number[]): CaseInput => constant(int64Tensor([values.length], values));
const scales = (...values: readonly number[]): CaseInput => constant(float32Tensor([values.length], values));
const END = 2 ** 62;

const image = random([2, 3, 6, 5]);

const slices = [
  opCase({ op: "Slice", inputs: [image, vector(1), vector(3), vector(1)] }, { name: "channels" }),
  opCase(
    { op: "Slice", inputs: [random([8]), vector(1), vector(END), vector(0), vector(2)] },
    { name: "every other" },
  ),
  opCase(
    { op: "Slice", inputs: [image, vector(0, 1), vector(END, END), vector(2, 3), vector(2, 2)] },
    { name: "steps" },
  ),
  opCase(
    { op: "Slice", inputs: [image, vector(-1), vector(-END), vector(-1), vector(-1)] },
    { name: "reversed" },
  ),
  opCase(
    { op: "Slice", inputs: [random([8, 2]), vector(6), vector(0), vector(0), vector(-3)] },
    { name: "reversed steps" },
  ),
  opCase({ op: "Slice", inputs: [random([4, 3]), vector(-2), vector(-1), vector(0)] }, { name: "one row" }),
  networkCase(
    [
      { op: "Relu", inputs: [random([1, 4, 3, 3])] },
      { op: "Slice", inputs: [outputOf(0), vector(1), vector(3), vector(1)] },
      { op: "Add", inputs: [outputOf(1), outputOf(1)] },
    ],
    { name: "of a value", compared: [1, 2] },
  ),
];

const splits = [
  opCase({ op: "Split", inputs: [random([2, 6])], attributes: { axis: int(1) }, outputs: 3 }, { opset: 13 }),
  opCase({ op: "Split", inputs: [random([5, 2]), vector(1, 4)], outputs: 2 }, { name: "rows" }),
  opCase(
    { op: "Split", inputs: [random([7])], attributes: { num_outputs: int(3) }, outputs: 3 },
    { name: "uneven" },
  ),
];

const concats = [
  opCase({ op: "Concat", inputs: [random([2, 3, 2]), random([2, 1, 2])], attributes: { axis: int(1) } }),
  opCase(
    { op: "Concat", inputs: [random([2, 3]), random([2, 2]), weight([2, 5])], attributes: { axis: int(-1) } },
    { name: "last axis" },
  ),
  opCase({ op: "Concat", inputs: [random([2, 3])], attributes: { axis: int(0) } }, { name: "of one" }),
];

const pads = [
  ...["constant", "reflect", "edge", "wrap"].flatMap((mode) => {
    const attributes = { mode: text(mode) };
    const opset = mode === "wrap" ? 19 : 18;
    return [
      opCase(
        { op: "Pad", inputs: [random([2, 5, 6]), vector(0, 2, 1, 0, 1, 3)], attributes },
        { name: mode, opset },
      ),
      opCase(
        { op: "Pad", inputs: [random([7]), vector(3, 2)], attributes },
        { name: `${mode}, one axis`, opset },
      ),
    ];
  }),
  opCase(
    { op: "Pad", inputs: [random([2, 3]), vector(1, 0, 0, 2), constant(scalarTensor(3))] },
    { name: "value" },
  ),
  opCase(
    { op: "Pad", inputs: [random([2, 3]), vector(1, 0, 0, 2), constant(scalarTensor(-Infinity))] },
    { name: "infinity" },
  ),
  networkCase(
    [Infinity, -Infinity, Number.NaN].map((value) => ({
      op: "Pad",
      inputs: [random([4]), vector(1, 2), constant(scalarTensor(value))],
    })),
    { name: "numbers that JSON does not have", compared: [0, 1, 2] },
  ),
  opCase({ op: "Pad", inputs: [random([4, 5]), vector(-1, 2, 1, -2)] }, { name: "negative" }),
  opCase({ op: "Pad", inputs: [random([2, 3, 2]), vector(1, 2), omitted, vector(-2)] }, { name: "axes" }),
];

const reshapes = [
  opCase({ op: "Reshape", inputs: [random([2, 3, 4]), vector(0, -1, 2)] }),
  opCase({ op: "Flatten", inputs: [random([2, 3, 4])] }),
  opCase({ op: "Squeeze", inputs: [random([1, 3, 1]), vector(-1)] }),
  opCase({ op: "Unsqueeze", inputs: [random([2, 3]), vector(0, -1)] }),
  opCase({ op: "Transpose", inputs: [random([2, 3, 4])] }),
  opCase(
    { op: "Transpose", inputs: [random([2, 3, 4, 5])], attributes: { perm: ints([0, 2, 3, 1]) } },
    { name: "to channels last" },
  ),
  opCase(
    { op: "Transpose", inputs: [random([2, 3, 4, 5])], attributes: { perm: ints([0, 3, 1, 2]) } },
    { name: "to channels first" },
  ),
  opCase({ op: "Tile", inputs: [random([2, 3]), vector(2, 3)] }),
  opCase({ op: "Tile", inputs: [random([2, 1, 3]), vector(1, 4, 1)] }, { name: "middle axis" }),
  opCase({ op: "Expand", inputs: [random([3, 1]), vector(2, 3, 5)] }),
  opCase({ op: "Expand", inputs: [random([3, 4]), vector(1, 1)] }, { name: "to smaller" }),
];

const blocks = [
  ...["DCR", "CRD"].map((mode) =>
    opCase(
      {
        op: "DepthToSpace",
        inputs: [random([2, 12, 3, 2])],
        attributes: { blocksize: int(2), mode: text(mode) },
      },
      { name: mode },
    ),
  ),
  opCase({ op: "SpaceToDepth", inputs: [random([2, 3, 4, 6])], attributes: { blocksize: int(2) } }),
];

const gathers = [
  opCase({ op: "Gather", inputs: [random([5, 3]), vector(4, -5, 2, 2)], attributes: { axis: int(0) } }),
  opCase(
    { op: "Gather", inputs: [random([2, 5, 3]), vector(0, 4, 3)], attributes: { axis: int(1) } },
    { name: "middle axis" },
  ),
  opCase(
    { op: "Gather", inputs: [random([2, 5]), vector(3, 0)], attributes: { axis: int(-1) } },
    { name: "last axis" },
  ),
  opCase({ op: "Gather", inputs: [random([4, 5]), constant(int64Tensor([], [2]))] }, { name: "one row" }),
  opCase(
    {
      op: "Gather",
      inputs: [random([2, 3, 4]), constant(int64Tensor([2, 2], [0, 2, 1, 0]))],
      attributes: { axis: int(1) },
    },
    { name: "by a matrix" },
  ),
];

const oneHots = [
  opCase({
    op: "OneHot",
    inputs: [fed(int64Tensor([5], [0, 3, -1, 2, 7])), constant(int64Tensor([1], [4])), scales(0, 1)],
  }),
  opCase(
    {
      op: "OneHot",
      inputs: [fed(int64Tensor([2, 3], [0, 1, 2, 2, 1, 0])), constant(int64Tensor([1], [3])), scales(-1, 5)],
      attributes: { axis: int(1) },
    },
    { name: "middle axis" },
  ),
];

interface ResizeForm {
  readonly name: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
}

const transformations = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"];
const resizeForms: readonly ResizeForm[] = [
  ...["nearest", "linear", "cubic"].flatMap((mode) =>
    transformations.map((transformation) => ({
      name: `${mode}, ${transformation}`,
      attributes: { mode: text(mode), coordinate_transformation_mode: text(transformation) },
    })),
  ),
  ...["round_prefer_ceil", "floor", "ceil"].map((rounding) => ({
    name: rounding,
    attributes: { mode: text("nearest"), nearest_mode: text(rounding) },
  })),
  {
    name: "cubic without borders",
    attributes: { mode: text("cubic"), exclude_outside: int(1), cubic_coeff_a: float(-0.5) },
  },
];

const resizes = resizeForms.flatMap(({ name, attributes }) => [
  opCase(
    { op: "Resize", inputs: [random([1, 3, 5, 4]), omitted, scales(1, 1, 2, 2)], attributes },
    { name: `${name}, doubled` },
  ),
  opCase(
    { op: "Resize", inputs: [random([1, 2, 5, 7]), omitted, omitted, vector(1, 2, 8, 3)], attributes },
    { name: `${name}, to sizes` },
  ),
]);

const upsamples = [
  opCase(
    {
      op: "Resize",
      inputs: [random([1, 2, 3, 4]), scales(1, 1, 2, 3)],
      attributes: { mode: text("nearest") },
    },
    { name: "opset 10", opset: 10 },
  ),
  opCase(
    {
      op: "Upsample",
      inputs: [random([1, 2, 3, 4]), scales(1, 1, 2, 3)],
      attributes: { mode: text("nearest") },
    },
    { opset: 9 },
  ),
  opCase(
    {
      op: "Upsample",
      inputs: [random([1, 2, 3, 4])],
      attributes: { mode: text("linear"), scales: floats([1, 1, 2, 2]) },
    },
    { name: "linear", opset: 7 },
  ),
];

const dimensions = [
  networkCase([{ op: "Shape", inputs: [random([2, 3])] }]),
  networkCase([{ op: "Size", inputs: [random([2, 3])] }]),
  networkCase(
    [
      { op: "Constant", inputs: [], attributes: { value: tensor(float32Tensor([2, 2], [1, 2, 3, 4])) } },
      { op: "Add", inputs: [outputOf(0), random([2, 2])] },
    ],
    { name: "as output", compared: [0, 1] },
  ),
  networkCase(
    [
      {
        op: "ConstantOfShape",
        inputs: [vector(70, 80)],
        attributes: { value: tensor(float32Tensor([1], [1.5])) },
      },
      { op: "Mul", inputs: [outputOf(0), random([80])] },
    ],
    { name: "large" },
  ),
  networkCase(
    [
      { op: "Range", inputs: [0.5, 3.2, 0.25].map((value) => constant(scalarTensor(value))) },
      { op: "Mul", inputs: [outputOf(0), random([11])] },
    ],
    { name: "of floats" },
  ),
];

/** Weights that an exporter left behind nodes; too large for constant folding. */
const computedWeights = [
  networkCase(
    [
      { op: "Expand", inputs: [weight([3, 9]), vector(160, 3, 9)] },
      { op: "Reshape", inputs: [outputOf(0), vector(480, 1, 3, 3)] },
      {
        op: "Conv",
        inputs: [random([1, 160, 5, 5]), outputOf(1)],
        attributes: { group: int(160), pads: ints([1, 1, 1, 1]) },
      },
    ],
    { name: "repeated basis" },
  ),
  networkCase(
    [
      { op: "Mul", inputs: [weight([80, 70]), weight([80, 1])] },
      { op: "MatMul", inputs: [random([3, 80]), outputOf(0)] },
    ],
    { name: "scaled weight" },
  ),
];

export const structureCases: readonly ContractCase[] = [
  ...slices,
  ...splits,
  ...concats,
  ...pads,
  ...reshapes,
  ...blocks,
  ...gathers,
  ...oneHots,
  ...resizes,
  ...upsamples,
  ...dimensions,
  ...computedWeights,
];
