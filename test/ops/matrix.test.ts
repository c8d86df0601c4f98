import { float, int } from "../../src/graph/attributes.js";
import { type OpCase, omitted, random, testOps } from "../support/opcase.js";

const transposes: readonly OpCase[] = [0, 1].flatMap((transA) =>
  [0, 1].map((transB) => ({
    op: "Gemm",
    name: `transA ${transA} transB ${transB}`,
    opset: 13,
    inputs: [random(transA ? [3, 2] : [2, 3]), random(transB ? [4, 3] : [3, 4]), random([4])],
    attributes: { transA: int(transA), transB: int(transB), alpha: float(0.7), beta: float(1.3) },
  })),
);

testOps([
  ...transposes,
  { op: "Gemm", name: "without bias", inputs: [random([2, 3]), random([3, 4])] },
  { op: "Gemm", name: "with a column as bias", inputs: [random([2, 3]), random([3, 4]), random([2, 1])] },
  { op: "Gemm", name: "with omitted bias", inputs: [random([2, 3]), random([3, 4]), omitted] },
  { op: "MatMul", inputs: [random([2, 3]), random([3, 4])] },
  {
    op: "MatMul",
    name: "of stacked matrices and one",
    opset: 13,
    inputs: [random([2, 5, 3]), random([3, 4])],
  },
  { op: "MatMul", name: "of one and stacked matrices", inputs: [random([2, 3]), random([5, 3, 2])] },
  { op: "MatMul", name: "with broadcast stacks", inputs: [random([2, 1, 2, 3]), random([3, 3, 2])] },
  { op: "MatMul", name: "of two vectors", inputs: [random([3]), random([3])] },
  { op: "MatMul", name: "of a vector and matrices", inputs: [random([3]), random([2, 3, 4])] },
  { op: "MatMul", name: "of a vector and a matrix", inputs: [random([3]), random([3, 4])] },
  { op: "MatMul", name: "of matrices and a vector", inputs: [random([2, 4, 3]), random([3])] },
]);
