import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { int, ints, text } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { type CaseNode, constant, fed, networkCase, omitted, random, weight } from "./contract_case.js";
import "./self_checked.js";

const scales = constant(float32Tensor([4], [1, 1, 0.5, 0.5]));

/** What cannot be compiled, by what is said of it. */
const refused: readonly (readonly [string, RegExp, CaseNode])[] = [
  [
    "an operator without a lowering",
    /MaxUnpool/,
    {
      op: "MaxUnpool",
      inputs: [random([1, 1, 2, 2]), constant(int64Tensor([1, 1, 2, 2], [0, 3, 8, 11]))],
      attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
    },
  ],
  [
    "a computed convolution weight",
    /weight or bias is computed/,
    {
      op: "Conv",
      inputs: [random([1, 2, 5, 5]), random([3, 2, 3, 3])],
    },
  ],
  [
    "a convolution over three axes",
    /one or two spatial axes.*3/,
    {
      op: "Conv",
      inputs: [random([1, 2, 5, 5, 5]), weight([3, 2, 3, 3, 3])],
    },
  ],
  [
    "computed indices",
    /indices must be constant/,
    {
      op: "ScatterND",
      inputs: [weight([5, 3]), fed(int64Tensor([2, 1], [0, 4])), weight([2, 3])],
    },
  ],
  [
    "boxes with as many samples as they are large",
    /sampling_ratio of 1 or more/,
    {
      op: "RoiAlign",
      inputs: [random([1, 2, 5, 5]), weight([3, 4]), constant(int64Tensor([3], [0, 0, 0]))],
    },
  ],
  [
    "the largest sample of boxes",
    /the mode avg.*max/,
    {
      op: "RoiAlign",
      inputs: [random([1, 2, 5, 5]), weight([3, 4]), constant(int64Tensor([3], [0, 0, 0]))],
      attributes: { mode: text("max"), sampling_ratio: int(2) },
    },
  ],
  [
    "the positions of maxima",
    /one output.*indices/,
    {
      op: "MaxPool",
      inputs: [random([1, 2, 4, 4])],
      attributes: { kernel_shape: ints([2, 2]) },
      outputs: 2,
    },
  ],
  [
    "a smoothing Resize",
    /antialias/,
    {
      op: "Resize",
      inputs: [random([1, 1, 4, 4]), omitted, scales],
      attributes: { mode: text("linear"), antialias: int(1) },
    },
  ],
  [
    "a value beyond any memory",
    /larger than the memory/,
    { op: "Expand", inputs: [random([1, 1]), constant(int64Tensor([2], [2 ** 20, 2 ** 20]))] },
  ],
];

for (const [what, message, node] of refused) {
  test(`${what} is an error that names the node`, () => {
    const { graph } = networkCase([node], { opset: 18 });
    assert.throws(
      () => compileProgram(graph, wasmTarget),
      (error) => {
        assert.ok(error instanceof PenniError, String(error));
        assert.equal(error.code, "unsupported");
        assert.match(error.message, message);
        assert.match(error.message, /"node 0"/);
        return true;
      },
    );
  });
}

test("operators of other domains are named, all of them", () => {
  const { graph } = networkCase([
    { op: "Relu", inputs: [random([1, 4])] },
    { op: "Frobnicate", inputs: [random([1, 4])] },
  ]);
  const nodes = graph.nodes.map((node) => (node.op === "Relu" ? node : { ...node, domain: "acme" }));
  const other: Graph = { ...graph, nodes };
  assert.throws(() => compileProgram(other, wasmTarget), /"node 1" \(Frobnicate\).*cannot be compiled/);
});

test("a dimension other than the batch that is open is an error", () => {
  const { graph } = networkCase([{ op: "Relu", inputs: [random([1, 4])] }]);
  const inputs = graph.inputs.map((input) => ({
    ...input,
    type: { elementType: "float32" as const, shape: ["batch", "width"] },
  }));
  assert.throws(() => compileProgram({ ...graph, inputs }, wasmTarget), /shape.*--input-shape/);
});
