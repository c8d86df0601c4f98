import assert from "node:assert/strict";
import { test } from "node:test";
import { attributes, float, floats, int, ints, tensor } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Attribute, Dim, Node, ValueType } from "../../src/graph/types.js";
import type { KnownValue } from "../../src/ops/core/context.js";
import { inferNode } from "../../src/ops/inference/infer.js";
import { findOp } from "../../src/ops/inference/registry.js";
import { constant, random, testValues } from "../../support/opcase.js";

const vector = (...values: number[]) => constant(int64Tensor([values.length], values));
const scalar = (value: number) => constant(int64Tensor([], [value]));
const grid = constant(float32Tensor([2, 3, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));

testValues([
  { op: "Concat", inputs: [vector(1, 2), vector(3)], attributes: { axis: int(0) } },
  { op: "Concat", name: "inner axis", inputs: [grid, grid], attributes: { axis: int(1) } },
  { op: "Slice", inputs: [grid, vector(2, 0), vector(-9, 1), vector(1, 2), vector(-2, 1)] },
  { op: "Slice", name: "empty", inputs: [vector(1, 2, 3), vector(2), vector(1)] },
  { op: "Split", inputs: [grid, vector(1, 2)], attributes: { axis: int(1) }, outputs: 2 },
  { op: "Reshape", inputs: [grid, vector(-1, 4)] },
  { op: "Flatten", inputs: [grid] },
  { op: "Transpose", inputs: [grid], attributes: { perm: ints([2, 0, 1]) } },
  { op: "Squeeze", inputs: [constant(int64Tensor([1, 2], [3, 4])), vector(0)] },
  { op: "Unsqueeze", inputs: [scalar(3), vector(0)] },
  { op: "Identity", inputs: [grid] },
  { op: "Dropout", inputs: [grid] },
  { op: "Gather", inputs: [vector(5, 6, 7), scalar(-1)] },
  {
    op: "Gather",
    name: "rows",
    inputs: [grid, constant(int64Tensor([2, 2], [0, 2, 1, 1]))],
    attributes: { axis: int(1) },
  },
  { op: "Expand", inputs: [constant(int64Tensor([2, 1], [3, 4])), vector(2, 2, 3)] },
  { op: "ConstantOfShape", inputs: [vector(2, 2)], attributes: { value: tensor(float32Tensor([1], [0.5])) } },
  { op: "ConstantOfShape", name: "empty", inputs: [vector(0)] },
  { op: "Range", inputs: [scalar(1), scalar(8), scalar(3)] },
  { op: "Shape", inputs: [random([2, 3, 4])] },
  { op: "Shape", name: "part", inputs: [random([2, 3, 4])], attributes: { start: int(1), end: int(-1) } },
  { op: "Size", inputs: [random([2, 3, 4])] },
  { op: "Constant", name: "value", inputs: [], attributes: { value: tensor(int64Tensor([2], [1, 2])) } },
  { op: "Constant", name: "value_int", inputs: [], attributes: { value_int: int(-4) } },
  { op: "Constant", name: "value_ints", inputs: [], attributes: { value_ints: ints([1, -4]) } },
  { op: "Constant", name: "value_float", inputs: [], attributes: { value_float: float(0.25) } },
  { op: "Constant", name: "value_floats", inputs: [], attributes: { value_floats: floats([0.25, 2]) } },
]);

interface Symbolic {
  readonly op: string;
  readonly inputs?: readonly (ValueType | undefined)[];
  readonly values?: readonly (readonly Dim[] | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Shape and elements of the output. */
  readonly shape: readonly Dim[];
  readonly elements?: readonly Dim[];
}

const float32 = (...shape: Dim[]): ValueType => ({ elementType: "float32", shape });

function ints64(elements: readonly Dim[]): KnownValue {
  return { type: "int64", dims: [elements.length], elements };
}

/** Rules over dynamic dimensions, which no runtime can be asked about. */
const symbolicCases: readonly Symbolic[] = [
  { op: "Shape", inputs: [float32("batch", 3, undefined)], shape: [3], elements: ["batch", 3, undefined] },
  {
    op: "Concat",
    values: [["batch"], [-1]],
    attributes: { axis: int(0) },
    shape: [2],
    elements: ["batch", -1],
  },
  { op: "Slice", values: [["batch", 3, 8], [0], [1]], shape: [1], elements: ["batch"] },
  {
    op: "Reshape",
    inputs: [float32("batch", 64, 1, 1)],
    values: [undefined, ["batch", -1]],
    shape: ["batch", 64],
  },
  {
    op: "Reshape",
    inputs: [float32("batch", 64, 2, 1)],
    values: [undefined, [0, -1]],
    shape: ["batch", 128],
  },
  { op: "Reshape", inputs: [float32("batch", 64)], values: [undefined, [-1, 64]], shape: ["batch", 64] },
  { op: "Reshape", inputs: [float32("batch", 64)], values: [undefined, [-1, 32]], shape: [undefined, 32] },
  { op: "Flatten", inputs: [float32("batch", 8, 2, 2)], shape: ["batch", 32] },
  { op: "Flatten", inputs: [float32("batch", 8, undefined, 2)], shape: ["batch", undefined] },
  { op: "Transpose", inputs: [float32("n", 2)], shape: [2, "n"] },
  { op: "Pad", inputs: [float32("n", 2)], values: [undefined, [0, 1, 0, 1]], shape: ["n", 4] },
  {
    op: "Pad",
    inputs: [float32("n", 2)],
    values: [undefined, [1, 0, 0, undefined]],
    shape: [undefined, undefined],
  },
  { op: "Expand", inputs: [float32(1, 3)], values: [undefined, ["n", 1]], shape: ["n", 3] },
  { op: "ConstantOfShape", values: [["n", 2]], shape: ["n", 2] },
];

for (const [index, symbolic] of symbolicCases.entries()) {
  test(`${symbolic.op} over dynamic dimensions, ${index}`, () => {
    const values =
      symbolic.values?.map((elements) => (elements === undefined ? undefined : ints64(elements))) ?? [];
    const types = Array.from(
      { length: Math.max(values.length, symbolic.inputs?.length ?? 0) },
      (_, at) => symbolic.inputs?.[at] ?? { elementType: "int64" as const, shape: values[at]?.dims },
    );
    const node: Node = {
      name: "node",
      op: symbolic.op,
      domain: "",
      inputs: types.map((_, at) => `x${at}`),
      outputs: ["y"],
      attributes: attributes(symbolic.attributes ?? {}),
    };
    const context = { node, opset: 17, inputs: types, values };
    assert.deepEqual(inferNode(context)[0]?.shape, symbolic.shape);
    if (symbolic.elements === undefined) return;
    assert.deepEqual(findOp(node)?.value?.(context)[0]?.elements, symbolic.elements);
  });
}

const contradictions: readonly [op: string, inputs: ValueType[], values: (readonly Dim[] | undefined)[]][] = [
  ["Reshape", [float32(2, 3)], [undefined, [4, 2]]],
  ["Reshape", [float32(2, 3)], [undefined, [-1, -1]]],
  ["Reshape", [float32(2, 3)], [undefined, [4, -1]]],
  ["Slice", [float32(2, 3)], [undefined, [0], [1], [2]]],
  ["Slice", [float32(2, 3)], [undefined, [0], [1], [0], [0]]],
  ["Squeeze", [float32(2, 3)], [undefined, [0]]],
  ["Unsqueeze", [float32(2, 3)], [undefined, [0, 0]]],
  ["Pad", [float32(2, 3)], [undefined, [1, 1]]],
  ["Pad", [float32(2, 3)], [undefined, [-3, 0, 0, 0]]],
  ["Tile", [float32(2, 3)], [undefined, [1]]],
];

for (const [op, inputs, elements] of contradictions) {
  test(`${op} refuses ${JSON.stringify(elements)}`, () => {
    const values = elements.map((list) => (list === undefined ? undefined : ints64(list)));
    const node: Node = {
      name: "the node",
      op,
      domain: "",
      inputs: elements.map((_, at) => `x${at}`),
      outputs: ["y"],
      attributes: new Map(),
    };
    const types = elements.map(
      (_, at) => inputs[at] ?? { elementType: "int64" as const, shape: values[at]?.dims },
    );
    assert.throws(() => inferNode({ node, opset: 17, inputs: types, values }), /the node.*expected/);
  });
}
