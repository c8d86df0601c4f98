import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import type { KernelRates } from "../../src/compile/cost_model.js";
import { WASM_LANES } from "../../src/compile/wasm/function_body.js";
import { int, ints } from "../../src/graph/attributes.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import {
  type CaseInput,
  type CaseNode,
  constant,
  forcedRates,
  networkCase,
  outputOf,
  random,
  weight,
} from "./contract_case.js";
import "./self_checked.js";

const dims = [1, 6, 9, 9];
const conv: CaseNode = {
  op: "Conv",
  inputs: [random([1, 5, 9, 9]), weight([6, 5, 3, 3]), weight([6])],
  attributes: { pads: ints([1, 1, 1, 1]) },
};
const scalar = (value: number): CaseInput => constant(float32Tensor([], [value]));
const silu: readonly CaseNode[] = [
  { op: "Sigmoid", inputs: [outputOf(0)] },
  { op: "Mul", inputs: [outputOf(0), outputOf(1)] },
];

/** Names of kernels, without those that only move elements. */
function kernelsOf(
  nodes: readonly CaseNode[],
  compared?: readonly number[],
  rates: KernelRates = forcedRates.dense,
): readonly string[] {
  const { graph } = networkCase(nodes, compared === undefined ? {} : { compared });
  return compileProgram(graph, { width: WASM_LANES, rates })
    .steps.map((step) => step.kernel.name)
    .filter((name) => !/^(?:pad|copy|fill)/.test(name));
}

test("a convolution takes along what follows it element by element", () => {
  assert.deepEqual(kernelsOf([conv, ...silu]), ["dense_conv_5_to_6_sigmoid_mul"]);
  const sum: CaseNode = { op: "Add", inputs: [random(dims), outputOf(2)] };
  assert.deepEqual(kernelsOf([conv, ...silu, sum]), ["dense_conv_5_to_6_sigmoid_mul_add"]);
  assert.deepEqual(
    kernelsOf([
      conv,
      { op: "Add", inputs: [outputOf(0), scalar(3)] },
      { op: "Clip", inputs: [outputOf(1), scalar(0), scalar(6)] },
      { op: "Mul", inputs: [outputOf(0), outputOf(2)] },
      { op: "Div", inputs: [outputOf(3), scalar(6)] },
    ]),
    ["dense_conv_5_to_6_add_clip_mul_div"],
  );
});

test("so do depthwise and sparse ones, tiles, and what is element by element itself", () => {
  const depthwise: CaseNode = {
    op: "Conv",
    inputs: [random(dims), weight([6, 1, 3, 3])],
    attributes: { pads: ints([1, 1, 1, 1]), group: int(6) },
  };
  assert.deepEqual(kernelsOf([depthwise, ...silu]), ["depthwise_conv_6_times_1_sigmoid_mul"]);
  assert.deepEqual(kernelsOf([conv, ...silu], undefined, forcedRates.sparse), [
    "sparse_conv_5_to_6_sigmoid_mul",
  ]);
  assert.match(
    kernelsOf([conv, ...silu], undefined, forcedRates.tiles).at(-1) ?? "",
    /^gather_.*_sigmoid_mul$/,
  );
  const sum: CaseNode = { op: "Add", inputs: [random(dims), random([6, 1, 1])] };
  assert.deepEqual(kernelsOf([sum, ...silu]), ["add_sigmoid_mul"]);
});

test("not where somebody else reads what lies between", () => {
  const alone = ["dense_conv_5_to_6", "sigmoid_mul"];
  assert.deepEqual(kernelsOf([conv, ...silu], [0, 2]), alone);
  assert.deepEqual(kernelsOf([conv, ...silu], [1, 2]), ["dense_conv_5_to_6", "sigmoid", "mul"]);
  const mean: CaseNode = { op: "GlobalAveragePool", inputs: [outputOf(0)] };
  assert.deepEqual(kernelsOf([conv, ...silu, mean], [2, 3]).slice(0, 2), alone);
});

test("as far as values have the result's shape and are floats", () => {
  const gate: CaseNode = { op: "Mul", inputs: [outputOf(0), random([6, 1, 1])] };
  assert.deepEqual(kernelsOf([conv, gate, { op: "Relu", inputs: [outputOf(1)] }]), [
    "dense_conv_5_to_6",
    "mul_relu",
  ]);
  const wider: CaseNode = { op: "Mul", inputs: [outputOf(0), random([2, 6, 9, 9])] };
  assert.deepEqual(kernelsOf([conv, wider]), ["dense_conv_5_to_6", "mul"]);
  const whole: CaseNode = { op: "Cast", inputs: [outputOf(0)], attributes: { to: int(6) } };
  const square: CaseNode = { op: "Mul", inputs: [outputOf(1), outputOf(1)] };
  assert.deepEqual(kernelsOf([conv, whole, square]), ["dense_conv_5_to_6", "cast", "mul"]);
});

test("no more than a few steps and other values", () => {
  const others = [1, 2, 3].map(
    (node): CaseNode => ({
      op: "Add",
      inputs: [outputOf(node - 1), random(dims)],
    }),
  );
  assert.deepEqual(kernelsOf([conv, ...others]), ["dense_conv_5_to_6_add_add", "add"]);
  const long = Array.from({ length: 10 }, (_, at): CaseNode => ({ op: "Abs", inputs: [outputOf(at)] }));
  assert.deepEqual(kernelsOf([conv, ...long]), [`dense_conv_5_to_6${"_abs".repeat(8)}`, "abs_abs"]);
});
