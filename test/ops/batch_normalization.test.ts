import { float } from "../../src/graph/attributes.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import { constant, random, testOps } from "../../support/opcase.js";

const parameters = [
  random([3], 0.5, 1.5),
  random([3]),
  constant(float32Tensor([3], [0.5, -0.2, 0.1])),
  constant(float32Tensor([3], [0.5, 1, 2])),
];

testOps([
  { op: "BatchNormalization", name: "of images", inputs: [random([2, 3, 2, 2]), ...parameters] },
  { op: "BatchNormalization", name: "of rows", opset: 13, inputs: [random([4, 3]), ...parameters] },
  {
    op: "BatchNormalization",
    name: "with a large epsilon",
    opset: 11,
    inputs: [random([2, 3, 4]), ...parameters],
    attributes: { epsilon: float(0.5) },
  },
]);
