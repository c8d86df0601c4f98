import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { int, ints, text } from "../../src/graph/attributes.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Attribute } from "../../src/graph/types.js";
import { mul, reduceSum } from "../../src/ops/core/emit.js";
import { TypedBuilder } from "../../src/ops/inference/builder.js";
import { tensorType } from "../../src/ops/inference/infer.js";
import { expandComposites } from "../../src/ops/passes/expand_composites.js";
import { buildGradients } from "../../src/train/gradients.js";
import { distinct, fed, type OpCase, random, testOps } from "../../support/opcase.js";

type Attributes = Readonly<Record<string, Attribute>>;

/** Window geometries that both poolings are tested with, for inputs of 7 x 6. */
const geometries: Readonly<Record<string, Attributes>> = {
  "2x2 stride 2": { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
  "3x3 stride 2 padded": { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
  "3x3 stride 1 padded": { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) },
  "3x2 stride 2x3 unevenly padded": {
    kernel_shape: ints([3, 2]),
    strides: ints([2, 3]),
    pads: ints([0, 1, 2, 0]),
  },
  "stride wider than the kernel": { kernel_shape: ints([2, 1]), strides: ints([3, 2]) },
  "ceil mode": { kernel_shape: ints([2, 2]), strides: ints([2, 2]), ceil_mode: int(1) },
  "ceil mode, padded": {
    kernel_shape: ints([3, 3]),
    strides: ints([2, 2]),
    pads: ints([1, 1, 1, 1]),
    ceil_mode: int(1),
  },
  SAME_UPPER: { kernel_shape: ints([3, 2]), strides: ints([2, 2]), auto_pad: text("SAME_UPPER") },
  SAME_LOWER: { kernel_shape: ints([3, 2]), strides: ints([1, 2]), auto_pad: text("SAME_LOWER") },
  VALID: { kernel_shape: ints([3, 3]), strides: ints([2, 1]), auto_pad: text("VALID") },
};

const cases: readonly OpCase[] = Object.entries(geometries).flatMap(([name, attributes]) => [
  { op: "MaxPool", name, opset: 13, attributes, inputs: [distinct([2, 2, 7, 6])] },
  { op: "AveragePool", name, opset: 13, attributes, inputs: [random([2, 2, 7, 6])] },
  {
    op: "AveragePool",
    name: `${name}, counting the padding`,
    attributes: { ...attributes, count_include_pad: int(1) },
    inputs: [random([1, 2, 7, 6])],
    opset: 19,
  },
]);

testOps([
  ...cases,
  // No gradient: the shape inference with which ONNX Runtime loads a graph does not drop the window, though its
  // kernels do, so that it refuses any graph that relies on the shape.
  ...["MaxPool", "AveragePool"].map((op) => ({
    op,
    name: "ceil mode that drops a window",
    inputs: [fed(float32Tensor([1, 1, 7, 6], new Float32Array(42)))],
    attributes: {
      kernel_shape: ints([2, 2]),
      strides: ints([2, 2]),
      pads: ints([1, 1, 1, 1]),
      ceil_mode: int(1),
    },
  })),
  {
    op: "MaxPool",
    name: "dilated",
    inputs: [distinct([1, 2, 7, 6])],
    attributes: { kernel_shape: ints([3, 2]), dilations: ints([2, 3]), pads: ints([1, 0, 1, 0]) },
  },
  {
    op: "MaxPool",
    name: "with indices",
    outputs: 2,
    inputs: [distinct([1, 2, 6, 6])],
    attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
  },
  {
    op: "MaxPool",
    name: "one-dimensional",
    inputs: [distinct([2, 3, 9])],
    attributes: { kernel_shape: ints([3]), strides: ints([2]) },
  },
  {
    op: "MaxPool",
    name: "three-dimensional",
    inputs: [distinct([1, 2, 4, 4, 3])],
    attributes: { kernel_shape: ints([2, 2, 2]), pads: ints([0, 0, 1, 0, 0, 0]) },
  },
  {
    op: "AveragePool",
    name: "dilated",
    opset: 19,
    inputs: [random([1, 2, 7, 6])],
    attributes: { kernel_shape: ints([3, 2]), dilations: ints([2, 3]), pads: ints([1, 0, 1, 0]) },
  },
  { op: "GlobalAveragePool", inputs: [random([2, 3, 4, 5])] },
  { op: "GlobalMaxPool", inputs: [distinct([2, 3, 4, 5])] },
]);

test("MaxPool gives the gradient to the first of equal maxima, as PyTorch does", async () => {
  const x = float32Tensor([1, 1, 3, 3], [0, 0, 0, 0, 0, 0, 0, 0, 1]);
  const builder = new TypedBuilder(13);
  builder.declare("x", tensorType(x));
  const y = builder.emit("MaxPool", ["x"], { attributes: { kernel_shape: ints([2, 2]) } });
  const weighted = mul(builder, y, builder.floats("weights", [1, 1, 2, 2], [1, 10, 100, 1000]));
  const loss = reduceSum(builder, weighted, [0, 1, 2, 3], false);
  const gradient = buildGradients(builder, [...builder.nodes], loss, ["x"]).get("x") ?? "";
  const outputs = await runGraph(
    expandComposites({
      name: "ties",
      opsets: new Map([["", 13]]),
      inputs: [{ name: "x", type: tensorType(x) }],
      outputs: [{ name: gradient, type: undefined }],
      nodes: builder.nodes,
      initializers: builder.initializers,
      valueInfo: new Map(),
      metadata: new Map(),
    }),
    new Map([["x", x]]),
  );
  const dx = outputs.get(gradient);
  assert.ok(dx);
  assert.deepEqual([...float32Data(dx)], [1, 10, 0, 100, 0, 0, 0, 0, 1000]);
});
