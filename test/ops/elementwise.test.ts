import assert from "node:assert/strict";
import { test } from "node:test";
import { attributes, float, int, text } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor, numericTensor, scalarTensor } from "../../src/graph/tensor.js";
import type { Tensor } from "../../src/graph/types.js";
import { TypedBuilder } from "../../src/ops/inference/builder.js";
import { findOp } from "../../src/ops/inference/registry.js";
import {
  constant,
  distinct,
  fed,
  type OpCase,
  omitted,
  random,
  testOps,
  testValues,
} from "../../support/opcase.js";

const bools = (values: readonly number[]): Tensor => {
  const tensor = numericTensor("bool", [values.length], values);
  if (tensor === undefined) throw new RangeError("bool");
  return tensor;
};
const int64 = (values: readonly number[]): Tensor => int64Tensor([values.length], values);

const x = random([2, 3, 4]);
const positive = random([2, 3, 4], 0.3, 2);
const offZero = random([2, 3, 4], -2, 2, [0]);

const binary: readonly OpCase[] = ["Add", "Sub", "Mul"].flatMap((op) => [
  { op, inputs: [x, x] },
  { op, name: "broadcast both ways", inputs: [random([2, 1, 4]), random([3, 1])] },
  { op, name: "scalar", opset: 13, inputs: [x, random([])] },
]);

testOps([
  ...binary,
  { op: "Div", inputs: [x, positive] },
  { op: "Div", name: "broadcast", inputs: [random([3, 1]), random([2, 1, 4], -2, -0.5)] },
  { op: "Neg", inputs: [x] },
  { op: "Abs", inputs: [offZero] },
  { op: "Sqrt", inputs: [positive] },
  { op: "Reciprocal", inputs: [positive], step: 0.003 },
  { op: "Exp", inputs: [x] },
  { op: "Log", inputs: [positive], step: 0.003 },
  { op: "Erf", inputs: [x] },
  { op: "Tanh", inputs: [x] },
  { op: "Sigmoid", inputs: [x] },
  { op: "Softplus", inputs: [x] },
  { op: "Softsign", inputs: [x] },
  {
    op: "Mod",
    inputs: [random([3, 4], 2.1, 2.9), random([4], 1.5, 1.9)],
    attributes: { fmod: int(1) },
  },
  { op: "Mish", opset: 18, inputs: [x] },
  { op: "Gelu", opset: 20, inputs: [x] },
  { op: "Gelu", name: "approximated", opset: 20, inputs: [x], attributes: { approximate: text("tanh") } },
  { op: "Selu", inputs: [offZero] },
  {
    op: "Selu",
    name: "with parameters",
    inputs: [offZero],
    attributes: { alpha: float(2), gamma: float(0.5) },
  },
  { op: "Celu", inputs: [x] },
  { op: "Celu", name: "with slope", inputs: [x], attributes: { alpha: float(0.4) } },
  { op: "ThresholdedRelu", inputs: [random([2, 3, 4], -2, 2, [1])] },
  ...["Floor", "Ceil", "Round"].map((op) => ({ op, inputs: [fed(float32Tensor([3], [-1.5, 0.5, 2.5]))] })),
  { op: "Xor", inputs: [fed(bools([0, 1])), fed(bools([1, 1]))] },
  { op: "HardSigmoid", inputs: [random([2, 3, 4], -5, 5, [-2.5, 2.5])] },
  {
    op: "HardSigmoid",
    name: "with slope",
    inputs: [random([2, 3, 4], -3, 3, [-0.8, 1.2])],
    attributes: { alpha: float(0.5), beta: float(0.4) },
  },
  { op: "HardSwish", inputs: [random([2, 3, 4], -5, 5, [-3, 3])] },
  { op: "Relu", inputs: [offZero] },
  { op: "LeakyRelu", inputs: [offZero] },
  { op: "LeakyRelu", name: "with slope", inputs: [offZero], attributes: { alpha: float(0.3) } },
  { op: "Elu", inputs: [offZero] },
  { op: "Elu", name: "with scale", inputs: [offZero], attributes: { alpha: float(1.7) } },
  { op: "PRelu", inputs: [offZero, random([3, 1])] },
  { op: "PRelu", name: "one slope", inputs: [offZero, random([1])] },
  {
    op: "Clip",
    inputs: [random([2, 3, 4], -2, 2, [-0.5, 1]), constant(scalarTensor(-0.5)), constant(scalarTensor(1))],
  },
  {
    op: "Clip",
    name: "upper bound only",
    inputs: [random([2, 3, 4], -2, 2, [1]), omitted, constant(scalarTensor(1))],
  },
  {
    op: "Clip",
    name: "bounds as attributes",
    opset: 10,
    inputs: [fed(float32Tensor([3], [-1, 0, 2]))],
    attributes: { min: float(0), max: float(1) },
  },
  { op: "Pow", name: "square", inputs: [x, constant(scalarTensor(2))] },
  { op: "Pow", name: "cube of int64", inputs: [x, constant(int64Tensor([], [3]))] },
  { op: "Pow", name: "root", inputs: [positive, constant(scalarTensor(0.5))], step: 0.003 },
  { op: "Pow", name: "both inputs", inputs: [positive, random([4])] },
  { op: "Max", inputs: [distinct([2, 3]), fed(float32Tensor([3], [0.05, -0.13, 0.11]))] },
  {
    op: "Max",
    name: "of three",
    inputs: [distinct([2, 3]), distinct([2, 3]), fed(float32Tensor([], [0.05]))],
  },
  { op: "Min", inputs: [distinct([2, 3]), fed(float32Tensor([3], [0.05, -0.13, 0.11]))] },
  { op: "Sum", inputs: [x, random([4]), random([3, 1])] },
  { op: "Where", inputs: [fed(bools([1, 0, 1, 1])), x, random([3, 1])] },
  { op: "Cast", inputs: [x], attributes: { to: int(1) } },
  { op: "Cast", name: "to int64", inputs: [fed(float32Tensor([2], [1, 2]))], attributes: { to: int(7) } },
]);

testOps([
  ...["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"].map((op) => ({
    op,
    inputs: [fed(float32Tensor([3], [1, 2, 3])), fed(float32Tensor([2, 1], [1, 2]))],
  })),
  ...["And", "Or"].map((op) => ({ op, inputs: [fed(bools([1, 0])), fed(bools([1, 1]))] })),
  { op: "Not", inputs: [fed(bools([1, 0]))] },
  { op: "Sign", inputs: [fed(float32Tensor([3], [-1, 0, 3]))] },
]);

const left = fed(int64([7, -7, 0, 5]));
const right = fed(int64([2, 2, 3, 5]));

testValues([
  { op: "Mod", inputs: [constant(int64([7, -7, 7, -7])), constant(int64([3, 3, -3, -3]))] },
  {
    op: "Mod",
    name: "as fmod",
    inputs: [constant(float32Tensor([2], [-5.5, 5.5])), constant(float32Tensor([2], [2, -2]))],
    attributes: { fmod: int(1) },
  },
  ...["Floor", "Ceil", "Round"].map((op) => ({
    op,
    inputs: [constant(float32Tensor([6], [-1.5, -0.5, -0.2, 0.5, 1.5, 2.5]))],
  })),
  { op: "Xor", inputs: [constant(bools([0, 0, 1, 1])), constant(bools([0, 1, 0, 1]))] },
  ...["Add", "Sub", "Mul", "Div", "Max", "Min"].map((op) => ({ op, inputs: [left, right] })),
  ...["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"].map((op) => ({
    op,
    inputs: [left, right],
  })),
  { op: "Add", name: "with broadcasting", inputs: [fed(int64Tensor([2, 1], [1, 2])), right] },
  { op: "Pow", inputs: [left, right] },
  { op: "Neg", inputs: [left] },
  { op: "Abs", inputs: [left] },
  { op: "Sign", inputs: [left] },
  { op: "Sqrt", inputs: [fed(float32Tensor([2], [2, 3]))] },
  { op: "Mul", name: "of floats", inputs: [fed(float32Tensor([2], [0.1, 0.7])), fed(scalarTensor(0.3))] },
  { op: "Where", inputs: [fed(bools([1, 0, 0, 1])), left, right] },
  { op: "And", inputs: [fed(bools([1, 0])), fed(bools([1, 1]))] },
  { op: "Or", inputs: [fed(bools([1, 0])), fed(bools([0, 0]))] },
  { op: "Not", inputs: [fed(bools([1, 0]))] },
  { op: "Cast", name: "to bool", inputs: [left], attributes: { to: int(9) } },
  {
    op: "Cast",
    name: "to int64",
    inputs: [fed(float32Tensor([3], [1.7, -1.7, 3]))],
    attributes: { to: int(7) },
  },
]);

/** What the value rule makes of int64 operands with the given, perhaps symbolic, elements. */
function symbolic(op: string, ...operands: readonly (readonly (number | string | undefined)[])[]): unknown {
  const context = {
    node: {
      name: "n",
      op,
      domain: "",
      inputs: operands.map((_, index) => `x${index}`),
      outputs: ["y"],
      attributes: attributes({}),
    },
    opset: 17,
    inputs: [],
    values: operands.map((elements) => ({ type: "int64" as const, dims: [elements.length], elements })),
  };
  return findOp({ op, domain: "" })?.value?.(context)[0]?.elements;
}

test("shape arithmetic keeps symbolic dimensions where it leaves them as they are", () => {
  assert.deepEqual(symbolic("Mul", ["batch", 3], [1, 2]), ["batch", 6]);
  assert.deepEqual(symbolic("Mul", [1], ["batch"]), ["batch"]);
  assert.deepEqual(symbolic("Add", ["batch", "batch"], [0, 1]), ["batch", undefined]);
  assert.deepEqual(symbolic("Sub", ["batch"], [0]), ["batch"]);
  assert.deepEqual(symbolic("Div", ["batch", 7], [1, 2]), ["batch", 3]);
  assert.deepEqual(symbolic("Equal", ["batch", "batch"], ["batch", 3]), [1, undefined]);
  assert.deepEqual(symbolic("Where", [1, 0], ["batch", 5], [2, "height"]), ["batch", "height"]);
});

test("what an integer cannot hold is unknown", () => {
  assert.deepEqual(symbolic("Div", [1], [0]), [undefined]);
  assert.deepEqual(symbolic("Mul", [2 ** 40], [2 ** 40]), [undefined]);
});

test("operands that do not broadcast are an error that names the node and both shapes", () => {
  const builder = new TypedBuilder(17);
  builder.floats("a", [2, 3], new Float32Array(6));
  builder.floats("b", [4], new Float32Array(4));
  assert.throws(() => builder.emit("Mul", ["a", "b"]), /Mul.*do not broadcast.*\[2, 3\] and \[4\]/);
});
