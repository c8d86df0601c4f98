import assert from "node:assert/strict";
import { test } from "node:test";
import { int, ints, text } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import { checkGradient, type OpCase, random, testOps } from "../../support/opcase.js";

interface Shape {
  readonly name: string;
  /** [C, H, W] and [K, C / group, R, S]. */
  readonly image: readonly [number, number, number];
  readonly weight: readonly [number, number, number, number];
  readonly attributes?: OpCase["attributes"];
}

const shapes: readonly Shape[] = [
  { name: "3x3", image: [2, 5, 5], weight: [3, 2, 3, 3], attributes: { pads: ints([1, 1, 1, 1]) } },
  { name: "without padding", image: [2, 4, 5], weight: [2, 2, 3, 3] },
  {
    name: "with stride 2",
    image: [2, 6, 7],
    weight: [2, 2, 3, 3],
    attributes: { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
  },
  {
    name: "with strides 2 and 3 that leave rows and columns over",
    image: [1, 8, 8],
    weight: [2, 1, 2, 3],
    attributes: { strides: ints([2, 3]), pads: ints([0, 1, 1, 0]) },
  },
  {
    name: "with dilations 2 and 1",
    image: [2, 6, 5],
    weight: [2, 2, 3, 2],
    attributes: { dilations: ints([2, 1]), pads: ints([2, 0, 1, 1]) },
  },
  {
    name: "with stride and dilation",
    image: [1, 8, 7],
    weight: [2, 1, 2, 2],
    attributes: { strides: ints([2, 2]), dilations: ints([3, 2]), pads: ints([1, 2, 0, 1]) },
  },
  {
    name: "with more padding than the kernel's reach",
    image: [1, 3, 3],
    weight: [2, 1, 2, 2],
    attributes: { pads: ints([2, 3, 3, 2]) },
  },
  {
    name: "in two groups",
    image: [4, 4, 4],
    weight: [6, 2, 3, 3],
    attributes: { group: int(2), pads: ints([1, 1, 1, 1]) },
  },
  {
    name: "in two groups with stride 2",
    image: [4, 5, 5],
    weight: [4, 2, 3, 3],
    attributes: { group: int(2), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
  },
  {
    name: "depthwise",
    image: [3, 4, 4],
    weight: [3, 1, 3, 3],
    attributes: { group: int(3), pads: ints([1, 1, 1, 1]) },
  },
  {
    name: "depthwise with multiplier 2 and stride 2",
    image: [3, 5, 5],
    weight: [6, 1, 3, 3],
    attributes: { group: int(3), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
  },
  { name: "1x1", image: [3, 3, 3], weight: [4, 3, 1, 1] },
  {
    name: "1x1 with stride 2",
    image: [3, 4, 5],
    weight: [2, 3, 1, 1],
    attributes: { strides: ints([2, 2]) },
  },
  {
    name: "1x1 with padding",
    image: [2, 2, 2],
    weight: [2, 2, 1, 1],
    attributes: { pads: ints([1, 0, 0, 1]) },
  },
  { name: "1x3", image: [2, 4, 4], weight: [2, 2, 1, 3], attributes: { pads: ints([0, 1, 0, 1]) } },
  { name: "5x2", image: [1, 6, 4], weight: [2, 1, 5, 2], attributes: { pads: ints([2, 0, 2, 1]) } },
  { name: "as large as the image", image: [2, 3, 4], weight: [2, 2, 3, 4] },
  {
    name: "with auto_pad SAME_UPPER and stride 2",
    image: [1, 5, 6],
    weight: [2, 1, 3, 2],
    attributes: { auto_pad: text("SAME_UPPER"), strides: ints([2, 2]) },
  },
  {
    name: "with auto_pad SAME_LOWER",
    image: [1, 4, 4],
    weight: [2, 1, 2, 4],
    attributes: { auto_pad: text("SAME_LOWER") },
  },
  {
    name: "with auto_pad VALID",
    image: [1, 4, 4],
    weight: [2, 1, 3, 3],
    attributes: { auto_pad: text("VALID") },
  },
];

const cases = shapes.map(
  ({ name, image, weight, attributes }): OpCase => ({
    op: "Conv",
    name,
    inputs: [random([2, ...image]), random(weight), random([weight[0]])],
    ...(attributes === undefined ? {} : { attributes }),
  }),
);

testOps([
  ...cases,
  { op: "Conv", name: "without bias", inputs: [random([2, 2, 3, 3]), random([2, 2, 2, 2])] },
  { op: "Conv", name: "of opset 11", opset: 11, inputs: [random([1, 2, 3, 3]), random([2, 2, 2, 2])] },
  {
    op: "Conv",
    name: "of one dimension in two groups",
    inputs: [random([2, 4, 7]), random([4, 2, 3]), random([4])],
    attributes: { group: int(2), strides: ints([2]), dilations: ints([2]), pads: ints([1, 2]) },
  },
  {
    op: "Conv",
    name: "of one dimension with auto_pad SAME_LOWER",
    inputs: [random([2, 2, 6]), random([3, 2, 4])],
    attributes: { auto_pad: text("SAME_LOWER"), kernel_shape: ints([4]) },
  },
]);

test("the gradient of a three-dimensional convolution is an error that names the node", async () => {
  await assert.rejects(
    () => checkGradient({ op: "Conv", inputs: [random([1, 2, 3, 3, 3]), random([2, 2, 2, 2, 2])] }),
    (error: unknown) => {
      assert.ok(error instanceof PenniError);
      assert.match(error.message, /node "node" \(Conv\).*one or two axes/);
      return true;
    },
  );
});
