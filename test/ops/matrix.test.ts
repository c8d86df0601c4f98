import assert from "node:assert/strict";
import { test } from "node:test";
import { float, int } from "../../src/graph/attributes.js";
import type { Attribute } from "../../src/graph/types.js";
import { ruleOf } from "../../src/ops/core/definition.js";
import { TypedBuilder } from "../../src/ops/inference/builder.js";
import { inferNode, nodeContext } from "../../src/ops/inference/infer.js";
import { findOp } from "../../src/ops/inference/registry.js";
import { type OpCase, omitted, random, testOps } from "../../support/opcase.js";

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

/** Multiply-accumulates of a product of two factors. */
function macs(
  op: string,
  left: readonly number[],
  right: readonly number[],
  options: Readonly<Record<string, Attribute>> = {},
): number | undefined {
  const builder = new TypedBuilder(17);
  builder.declare("a", { elementType: "float32", shape: left });
  builder.declare("b", { elementType: "float32", shape: right });
  builder.emit(op, ["a", "b"], { attributes: options });
  const [node] = builder.nodes;
  assert.ok(node);
  const context = nodeContext(node, 17, builder.types, new Map());
  return ruleOf(findOp(node)?.cost)?.(
    context,
    inferNode(context).flatMap((type) => type ?? []),
  );
}

test("a product of [M, K] and [K, N] costs M·K·N multiply-accumulates, times the stack", () => {
  assert.equal(macs("Gemm", [2, 3], [3, 4]), 24);
  assert.equal(macs("Gemm", [3, 2], [4, 3], { transA: int(1), transB: int(1) }), 24);
  assert.equal(macs("MatMul", [5, 2, 3], [3, 4]), 120);
  assert.equal(macs("MatMul", [3], [3]), 3);
});

test("factors that do not fit are an error that names the node and both shapes", () => {
  assert.throws(() => macs("Gemm", [2, 3], [4, 5]), /Gemm.*\[2, 3\] and \[4, 5\]/);
  assert.throws(() => macs("MatMul", [2, 3], [4, 5]), /MatMul.*\[2, 3\] and \[4, 5\]/);
});
