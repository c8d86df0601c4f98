import { int, ints, text } from "../../src/graph/attributes.js";
import type { Attribute } from "../../src/graph/types.js";
import { type OpCase, random, testOps } from "../../support/opcase.js";

type Attributes = Readonly<Record<string, Attribute>>;

/** For an input of 4 x 3 and kernels of 3 x 2. */
const geometries: Readonly<Record<string, Attributes>> = {
  plain: {},
  "stride 2": { strides: ints([2, 2]) },
  "stride 2, padded": { strides: ints([2, 2]), pads: ints([1, 0, 1, 1]) },
  "stride 2, padded, larger output": {
    strides: ints([2, 2]),
    pads: ints([1, 0, 1, 0]),
    output_padding: ints([1, 1]),
  },
  "stride 3 wider than the kernel": { strides: ints([3, 3]), output_padding: ints([2, 2]) },
  dilated: { dilations: ints([2, 1]), strides: ints([1, 2]) },
  "dilated, padded": { dilations: ints([2, 2]), strides: ints([2, 2]), pads: ints([2, 1, 2, 1]) },
  SAME_UPPER: { strides: ints([2, 1]), auto_pad: text("SAME_UPPER") },
  SAME_LOWER: { strides: ints([2, 1]), auto_pad: text("SAME_LOWER") },
  VALID: { strides: ints([2, 2]), auto_pad: text("VALID") },
  output_shape: { strides: ints([2, 2]), output_shape: ints([8, 5]) },
};

testOps([
  ...Object.entries(geometries).map(
    ([name, attributes]): OpCase => ({
      op: "ConvTranspose",
      name,
      opset: 13,
      attributes,
      inputs: [random([2, 3, 4, 3]), random([3, 2, 3, 2]), random([2])],
    }),
  ),
  {
    op: "ConvTranspose",
    name: "two groups",
    opset: 13,
    attributes: { group: int(2), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
    inputs: [random([2, 4, 3, 3]), random([4, 3, 3, 3])],
  },
  {
    op: "ConvTranspose",
    name: "depthwise, as bilinear enlargement is exported",
    opset: 13,
    attributes: { group: int(3), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
    inputs: [random([1, 3, 3, 2]), random([3, 1, 4, 4])],
  },
]);
