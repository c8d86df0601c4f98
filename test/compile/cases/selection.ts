import { float, int, text } from "../../../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../../../src/graph/tensor.js";
import type { Attribute, Tensor } from "../../../src/graph/types.js";
import {
  type CaseInput,
  type ContractCase,
  constant,
  fed,
  networkCase,
  opCase,
  outputOf,
  random,
  weight,
} from "../contract_case.js";

const whole = (dims: readonly number[], ...values: readonly number[]): Tensor => int64Tensor(dims, values);
const vector = (...values: readonly number[]): CaseInput => constant(whole([values.length], ...values));

const angles = [
  ...["Sin", "Cos", "Atan"].map((op) => opCase({ op, inputs: [random([3, 11], -9, 9)] })),
  opCase({ op: "Sin", inputs: [random([5, 7], -9000, 9000)] }, { name: "large" }),
  opCase({ op: "Tan", inputs: [random([3, 11], -1.4, 1.4)] }),
  opCase({ op: "Asin", inputs: [random([3, 11], -1, 1)] }),
  opCase({ op: "Acos", inputs: [random([3, 11], -1, 1)] }),
  ...["Asin", "Acos", "Atan", "Sin"].map((op) =>
    opCase({ op, inputs: [fed(float32Tensor([3], [0, 1, -1]))] }, { name: "ends" }),
  ),
];

const extremes = fed(
  float32Tensor([5], [1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]),
);

const tests = [
  opCase({ op: "IsNaN", inputs: [extremes] }),
  opCase({ op: "IsInf", inputs: [extremes] }),
  opCase({ op: "IsInf", inputs: [extremes], attributes: { detect_negative: int(0) } }, { name: "positive" }),
  opCase({ op: "Shrink", inputs: [random([4, 9])], attributes: { lambd: float(0.8), bias: float(0.3) } }),
];

const means = [
  opCase({ op: "Mean", inputs: [random([2, 3, 5]), random([3, 1]), random([5])] }),
  opCase({ op: "Mean", inputs: [random([7])] }, { name: "of one" }),
];

const rankings = [
  opCase({ op: "TopK", inputs: [random([3, 37]), vector(5)], outputs: 2 }),
  opCase(
    {
      op: "TopK",
      inputs: [random([2, 9, 11]), vector(9)],
      attributes: { axis: int(1), largest: int(0) },
      outputs: 2,
    },
    { name: "smallest, all, middle axis" },
  ),
  opCase(
    { op: "TopK", inputs: [fed(float32Tensor([8], [1, 3, 3, 0, 3, 1, 0, 3])), vector(7)], outputs: 2 },
    { name: "equal ones" },
  ),
  opCase(
    { op: "TopK", inputs: [fed(whole([6], 4, 1, 9, 9, -3, 0)), vector(3)], outputs: 2 },
    { name: "integers" },
  ),
  opCase({ op: "ArgMin", inputs: [random([3, 8, 5])], attributes: { axis: int(1) } }),
  opCase({ op: "Hardmax", inputs: [random([3, 8, 5])], attributes: { axis: int(1) } }),
];

const sums = [
  opCase({ op: "CumSum", inputs: [random([3, 7]), constant(whole([], 1))] }),
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map((reverse) =>
      opCase(
        {
          op: "CumSum",
          inputs: [random([2, 6, 9]), constant(whole([], -2))],
          attributes: { exclusive: int(exclusive), reverse: int(reverse) },
        },
        { name: `exclusive ${exclusive}, reverse ${reverse}` },
      ),
    ),
  ),
];

const matrices = [
  opCase({ op: "Trilu", inputs: [random([2, 4, 5])] }),
  opCase(
    { op: "Trilu", inputs: [random([4, 4]), constant(whole([], -1))], attributes: { upper: int(0) } },
    { name: "lower" },
  ),
  opCase({ op: "EyeLike", inputs: [random([3, 5])], attributes: { k: int(1) } }),
];

const boundaries = fed(whole([2, 3], 0, -1, 3, 2, -4, 1));

const gathers = [
  opCase({ op: "Gather", inputs: [random([5, 3]), fed(whole([2, 2], 0, 4, -1, 2))] }, { name: "computed" }),
  opCase(
    { op: "Gather", inputs: [random([2, 4, 9]), fed(whole([3], 3, 0, -4))], attributes: { axis: int(1) } },
    { name: "computed, middle axis" },
  ),
  ...[constant(whole([2, 3], 0, -1, 3, 2, -4, 1)), boundaries].map((indices, index) =>
    opCase(
      { op: "GatherElements", inputs: [random([2, 4]), indices], attributes: { axis: int(1) } },
      { name: index === 0 ? "constant" : "computed" },
    ),
  ),
  ...[constant(whole([2, 2], 0, 1, -1, 0)), fed(whole([2, 2], 0, 1, -1, 0))].map((indices, index) =>
    opCase(
      { op: "GatherND", inputs: [random([3, 2, 5]), indices] },
      { name: index === 0 ? "constant" : "computed" },
    ),
  ),
  opCase(
    {
      op: "GatherND",
      inputs: [random([2, 3, 4]), fed(whole([2, 1], 2, -3))],
      attributes: { batch_dims: int(1) },
    },
    { name: "in batches" },
  ),
];

const scatters = [
  opCase({ op: "ScatterND", inputs: [random([4, 5]), constant(whole([2, 1], 3, 1)), random([2, 5])] }),
  opCase(
    { op: "ScatterND", inputs: [random([3, 3]), constant(whole([2, 2], 0, 1, -1, 2)), random([2])] },
    { name: "elements" },
  ),
  opCase(
    {
      op: "ScatterElements",
      inputs: [random([3, 4]), constant(whole([2, 2], 0, -1, 2, 1)), random([2, 2])],
      attributes: { axis: int(1) },
    },
    {},
  ),
  ...["add", "mul", "max", "min"].map((reduction) =>
    opCase(
      {
        op: "ScatterElements",
        inputs: [random([2, 4]), constant(whole([2, 3], 0, 0, 2, 1, 1, 1)), random([2, 3])],
        attributes: { axis: int(1), reduction: text(reduction) },
      },
      { name: reduction },
    ),
  ),
];

const equations: readonly (readonly [string, ...(readonly number[])[]])[] = [
  ["ij,jk->ik", [3, 4], [4, 5]],
  ["bhid,bhjd->bhij", [2, 2, 3, 4], [2, 2, 5, 4]],
  ["bchw,ck->bkhw", [1, 6, 4, 3], [6, 5]],
  ["nctkv,kvw->nctw", [1, 2, 3, 2, 4], [2, 4, 4]],
  ["...ij,...jk", [2, 3, 4], [2, 4, 2]],
  ["ab,cd->bdac", [2, 3], [4, 5]],
  ["abc->ca", [2, 3, 4]],
  ["i,i->", [7], [7]],
  ["ab,bc,cd->ad", [2, 3], [3, 4], [4, 5]],
  ["bij,bj->bi", [2, 3, 4], [2, 4]],
];

const products = equations.map(([equation, ...dims]) =>
  opCase(
    { op: "Einsum", inputs: dims.map((each) => random(each)), attributes: { equation: text(equation) } },
    { name: equation },
  ),
);

const modes = ["bilinear", "nearest", "bicubic"];
const paddings = ["zeros", "border", "reflection"];

const samples = [
  ...modes.flatMap((mode) =>
    paddings.flatMap((padding) =>
      [0, 1].map((corners) =>
        opCase(
          {
            op: "GridSample",
            inputs: [random([1, 3, 5, 4]), weight([1, 3, 6, 2], 0, -1.6, 1.6)],
            attributes: { mode: text(mode), padding_mode: text(padding), align_corners: int(corners) },
          },
          { name: `${mode}, ${padding}, ${corners}`, opset: 16 },
        ),
      ),
    ),
  ),
  opCase(
    { op: "GridSample", inputs: [random([2, 3, 5, 4]), random([2, 3, 6, 2], -1.6, 1.6)] },
    { name: "computed grid, two images", opset: 16 },
  ),
  networkCase(
    [
      { op: "Tanh", inputs: [random([1, 4, 4, 2])] },
      {
        op: "GridSample",
        inputs: [random([1, 9, 6, 6]), outputOf(0)],
        attributes: { mode: text("bicubic"), padding_mode: text("reflection") },
      },
    ],
    { name: "computed grid, cubic", opset: 16 },
  ),
];

/** Corners of boxes, some of them beyond the map. */
const boxes = (count: number, seed: number): CaseInput => {
  const corners = Array.from({ length: count }, (_, at): readonly number[] => {
    const [x, y] = [9 * Math.sin(seed + at) + 3, 7 * Math.cos(seed * at)];
    return [x, y, x + 4 + 3 * Math.sin(at), y + 5];
  });
  return constant(float32Tensor([count, 4], corners.flat()));
};
const aligned = (attributes: Record<string, Attribute>, opset: number, images = [0, 0, 0]): ContractCase =>
  opCase(
    {
      op: "RoiAlign",
      inputs: [
        random([Math.max(...images) + 1, 5, 6, 7]),
        boxes(images.length, 3),
        constant(int64Tensor([images.length], images)),
      ],
      attributes: { output_height: int(3), output_width: int(2), sampling_ratio: int(2), ...attributes },
    },
    { name: `${Object.keys(attributes).join(", ")}, ${images.length} boxes, opset ${opset}`, opset },
  );

const regions = [
  aligned({}, 16),
  aligned({ spatial_scale: float(0.5) }, 16),
  aligned({ coordinate_transformation_mode: text("output_half_pixel") }, 16),
  aligned({ sampling_ratio: int(3), output_width: int(4) }, 13),
  aligned({ spatial_scale: float(0.75) }, 16, [1, 0, 2, 1]),
  networkCase(
    [
      { op: "Mul", inputs: [random([2, 4], 0, 1), constant(float32Tensor([1, 4], [3, 3, 6, 6]))] },
      {
        op: "RoiAlign",
        inputs: [random([1, 5, 6, 7]), outputOf(0), constant(int64Tensor([2], [0, 0]))],
        attributes: { output_height: int(2), output_width: int(2), sampling_ratio: int(1) },
      },
    ],
    { name: "computed boxes", opset: 16 },
  ),
];

export const selectionCases: readonly ContractCase[] = [
  ...angles,
  ...tests,
  ...means,
  ...rankings,
  ...sums,
  ...matrices,
  ...gathers,
  ...scatters,
  ...products,
  ...samples,
  ...regions,
];
