import assert from "node:assert/strict";
import { test } from "node:test";
import { float, int, text } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Node } from "../../src/graph/types.js";
import { inferNode } from "../../src/ops/inference/infer.js";
import { constant, distinct, fed, type OpCase, random, testOps } from "../../support/opcase.js";

const x = random([2, 3, 4]);
const whole = (dims: readonly number[], ...values: readonly number[]) => int64Tensor(dims, values);
const vector = (...values: readonly number[]) => constant(whole([values.length], ...values));

testOps([
  { op: "Sin", inputs: [x] },
  { op: "Cos", inputs: [x] },
  { op: "Tan", inputs: [random([2, 3], -1, 1)], step: 0.003 },
  { op: "Atan", inputs: [x] },
  { op: "Asin", inputs: [random([2, 3], -0.8, 0.8)], step: 0.003 },
  { op: "Acos", inputs: [random([2, 3], -0.8, 0.8)], step: 0.003 },
  {
    op: "Shrink",
    inputs: [random([2, 3, 4], -2, 2, [-0.8, 0.8])],
    attributes: { lambd: float(0.8), bias: float(0.3) },
  },
  { op: "IsNaN", inputs: [fed(float32Tensor([2], [1, Number.NaN]))] },
  { op: "IsInf", inputs: [fed(float32Tensor([2], [1, Number.POSITIVE_INFINITY]))] },
  { op: "Mean", inputs: [x, random([3, 1]), random([4])] },
  { op: "Mean", name: "of one", inputs: [x] },
  { op: "ArgMin", inputs: [fed(float32Tensor([2, 3], [3, 1, 2, 0, 5, 4]))], attributes: { axis: int(1) } },
  { op: "Hardmax", inputs: [fed(float32Tensor([2, 3], [3, 1, 2, 0, 5, 4]))] },
  { op: "CumSum", inputs: [x, constant(whole([], 1))] },
  {
    op: "CumSum",
    name: "the other way",
    inputs: [x, constant(whole([], -1))],
    attributes: { exclusive: int(1), reverse: int(1) },
  },
  { op: "Trilu", inputs: [random([2, 4, 3])] },
  {
    op: "Trilu",
    name: "lower",
    inputs: [random([4, 4]), constant(whole([], 1))],
    attributes: { upper: int(0) },
  },
  { op: "EyeLike", inputs: [fed(float32Tensor([2, 3], new Float32Array(6)))] },
  {
    op: "EyeLike",
    name: "of another type",
    inputs: [fed(float32Tensor([2, 3], new Float32Array(6)))],
    attributes: { dtype: int(7) },
  },
]);

testOps([
  { op: "TopK", inputs: [distinct([3, 7]), vector(2)], outputs: 2 },
  {
    op: "TopK",
    name: "smallest along another axis",
    inputs: [distinct([2, 5, 3]), vector(3)],
    attributes: { axis: int(1), largest: int(0) },
    outputs: 2,
  },
  {
    op: "GatherElements",
    inputs: [x, constant(whole([2, 2, 4], ...[0, 1, 2, 1, -1, 0, 0, 2, 1, 1, 1, 1, 2, 2, 0, 0]))],
    attributes: { axis: int(1) },
  },
  { op: "GatherElements", name: "computed", inputs: [random([3, 2]), fed(whole([2, 2], 2, -1, 0, 2))] },
  { op: "GatherND", inputs: [x, constant(whole([3, 2], 0, 2, 1, 0, 0, 2))] },
  { op: "GatherND", name: "elements", inputs: [random([3, 2]), fed(whole([2, 2], 2, -1, 0, 1))] },
  {
    op: "GatherND",
    name: "in batches",
    inputs: [fed(float32Tensor([2, 2], [1, 2, 3, 4])), fed(whole([2, 1], 1, 0))],
    attributes: { batch_dims: int(1) },
  },
  {
    op: "ScatterElements",
    inputs: [x, constant(whole([2, 1, 2], 1, 2, 0, 2)), random([2, 1, 2])],
    attributes: { axis: int(1) },
  },
  {
    op: "ScatterElements",
    name: "adding",
    inputs: [random([3, 2]), fed(whole([3, 2], 0, 1, 0, 1, 2, 2)), random([3, 2])],
    attributes: { reduction: text("add") },
  },
  { op: "ScatterND", inputs: [x, constant(whole([2, 2], 0, 1, 1, 2)), random([2, 4])] },
  {
    op: "ScatterND",
    name: "adding",
    inputs: [random([4]), fed(whole([3, 1], 1, 1, 3)), random([3])],
    attributes: { reduction: text("add") },
  },
]);

const equations: readonly (readonly [string, ...(readonly number[])[]])[] = [
  ["ij,jk->ik", [3, 4], [4, 2]],
  ["bhid,bhjd->bhij", [2, 2, 3, 2], [2, 2, 2, 2]],
  ["nctkv,kvw->nctw", [1, 2, 3, 2, 2], [2, 2, 3]],
  ["...ij,...jk", [2, 3, 4], [2, 4, 2]],
  ["ba,cd", [2, 3], [2, 2]],
  ["abc->ca", [2, 3, 1]],
  ["ab,bc,cd->ad", [2, 3], [3, 2], [2, 2]],
];
testOps(
  equations.map(
    ([equation, ...dims]): OpCase => ({
      op: "Einsum",
      name: equation,
      inputs: dims.map((each) => random(each)),
      attributes: { equation: text(equation) },
    }),
  ),
);

const grid = (dims: readonly number[]) => {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return fed(
    float32Tensor(
      dims,
      Array.from({ length: count }, (_, at) => 1.5 * Math.sin(3 * at + 1)),
    ),
  );
};
testOps(
  ["bilinear", "nearest", "bicubic"].flatMap((mode) =>
    ["zeros", "border", "reflection"].map(
      (padding): OpCase => ({
        op: "GridSample",
        name: `${mode}, ${padding}`,
        inputs: [random([2, 2, 3, 4]), grid([2, 3, 2, 2])],
        attributes: {
          mode: text(mode),
          padding_mode: text(padding),
          align_corners: int(mode === "nearest" ? 1 : 0),
        },
      }),
    ),
  ),
);

/** Shapes of what depends on the data, or occurs behind it: as far as they can be told. */
const shapes: readonly (readonly [
  string,
  readonly (readonly number[])[],
  Node["attributes"],
  readonly (number | undefined)[],
])[] = [
  ["NonZero", [[2, 3, 4]], new Map(), [3, undefined]],
  [
    "NonMaxSuppression",
    [
      [1, 9, 4],
      [1, 2, 9],
    ],
    new Map(),
    [undefined, 3],
  ],
  [
    "RoiAlign",
    [[1, 6, 8, 8], [5, 4], [5]],
    new Map([
      ["output_height", int(3)],
      ["output_width", int(2)],
    ]),
    [5, 6, 3, 2],
  ],
  ["ReverseSequence", [[4, 3], [3]], new Map(), [4, 3]],
];
for (const [op, dims, attributes, expected] of shapes) {
  test(`${op}: shape`, () => {
    const inputs = dims.map((_, index) => `x${index}`);
    const node: Node = { name: "node", op, domain: "", inputs, outputs: ["y"], attributes };
    const types = dims.map((shape) => ({ elementType: "float32" as const, shape }));
    const [type] = inferNode({ node, opset: 17, inputs: types, values: [] });
    assert.deepEqual(type?.shape, expected);
  });
}

for (const [equation, found] of [
  ["ij,jk->iq", /no operand/],
  ["ij->i", /operands/],
  ["ijk,jk->i", /rank/],
  ["i j", /fit/],
] as const) {
  test(`Einsum refuses ${equation}`, () => {
    const node: Node = {
      name: "the node",
      op: "Einsum",
      domain: "",
      inputs: ["a", "b"],
      outputs: ["y"],
      attributes: new Map([["equation", text(equation)]]),
    };
    const types = [
      [2, 3],
      [3, 4],
    ].map((shape) => ({ elementType: "float32" as const, shape }));
    assert.throws(() => inferNode({ node, opset: 17, inputs: types, values: [] }), found);
  });
}
