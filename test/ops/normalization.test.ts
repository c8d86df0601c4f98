import { float, int } from "../../src/graph/attributes.js";
import { random, testOps } from "../../support/opcase.js";

const image = random([2, 4, 3, 2]);

testOps([
  ...[1, 3, 7].map((size) => ({
    op: "LRN",
    name: `over ${size} channels`,
    inputs: [random([2, 5, 2, 2])],
    attributes: { size: int(size), alpha: float(0.5), beta: float(0.6), bias: float(1.5) },
  })),
  { op: "LayerNormalization", name: "without bias", inputs: [random([3, 6]), random([6])] },
  {
    op: "LayerNormalization",
    name: "with bias",
    inputs: [random([2, 3, 4]), random([4]), random([4])],
    attributes: { epsilon: float(0.1) },
  },
  {
    op: "LayerNormalization",
    name: "over two axes",
    inputs: [random([2, 3, 4]), random([3, 4]), random([3, 4])],
    attributes: { axis: int(1) },
  },
  {
    op: "InstanceNormalization",
    name: "of an image",
    inputs: [image, random([4]), random([4])],
    attributes: { epsilon: float(0.01) },
  },
  { op: "InstanceNormalization", name: "of rows", inputs: [random([2, 3, 5]), random([3]), random([3])] },
  {
    op: "GroupNormalization",
    opset: 21,
    inputs: [image, random([4]), random([4])],
    attributes: { num_groups: int(2) },
  },
]);
