import { float, int, ints, text } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Attribute } from "../../src/graph/types.js";
import { constant, fed, type OpCase, omitted, random, testOps } from "../../support/opcase.js";

const sizes = (...values: number[]) => constant(int64Tensor([values.length], values));
const scales = (...values: number[]) => constant(float32Tensor([values.length], values));
const image = random([1, 2, 4, 5]);

/** Each interpolation with each way of mapping coordinates: enlarged by a fraction and reduced. */
const resized = ["nearest", "linear", "cubic"].flatMap((mode) =>
  ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"].flatMap((coordinates): OpCase[] => {
    const attributes = { mode: text(mode), coordinate_transformation_mode: text(coordinates) };
    return [
      {
        op: "Resize",
        name: `${mode} ${coordinates} to sizes`,
        opset: 13,
        attributes,
        inputs: [image, omitted, omitted, sizes(1, 2, 7, 3)],
      },
      {
        op: "Resize",
        name: `${mode} ${coordinates} by scales`,
        opset: 13,
        attributes,
        inputs: [image, omitted, scales(1, 1, 0.6, 2.3)],
      },
    ];
  }),
);

const nearest = (rounding: string): OpCase => ({
  op: "Resize",
  name: `nearest, ${rounding}`,
  opset: 13,
  attributes: { nearest_mode: text(rounding), coordinate_transformation_mode: text("asymmetric") },
  inputs: [image, omitted, scales(1, 1, 1.5, 0.7)],
});

const special: Readonly<Record<string, Readonly<Record<string, Attribute>>>> = {
  "cubic without what lies outside": { mode: text("cubic"), exclude_outside: int(1) },
  "cubic with another coefficient": { mode: text("cubic"), cubic_coeff_a: float(-0.5) },
  half_pixel_symmetric: {
    mode: text("linear"),
    coordinate_transformation_mode: text("half_pixel_symmetric"),
  },
};

testOps([
  ...resized,
  ...["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"].map(nearest),
  ...Object.entries(special).map(([name, attributes]) => ({
    op: "Resize",
    name,
    opset: 19,
    attributes,
    inputs: [image, omitted, scales(1, 1, 1.5, 2)],
  })),
  {
    op: "Resize",
    name: "whole factors, as networks enlarge",
    opset: 13,
    attributes: { coordinate_transformation_mode: text("asymmetric"), nearest_mode: text("floor") },
    inputs: [image, omitted, scales(1, 1, 2, 3)],
  },
  // 3 · 5/3 is 4.9999998 in float64 with the float32 scale, and 5 in float32, as ONNX Runtime's kernel computes it. Its
  // shape inference takes the former, so that nothing can be computed with the result: the shape only.
  {
    op: "Resize",
    name: "a scale that rounds",
    opset: 13,
    inputs: [fed(float32Tensor([1, 1, 3, 3], new Float32Array(9))), omitted, scales(1, 1, 5 / 3, 1)],
  },
  {
    op: "Resize",
    name: "three axes",
    opset: 13,
    attributes: { mode: text("linear") },
    inputs: [random([1, 1, 2, 3, 2]), omitted, scales(1, 1, 2, 2, 2)],
  },
  {
    op: "Resize",
    name: "listed axes",
    opset: 18,
    attributes: { mode: text("linear"), axes: ints([3, 2]) },
    inputs: [image, omitted, scales(0.5, 2)],
  },
  ...["reflect", "edge"].flatMap((mode): OpCase[] => [
    {
      op: "Pad",
      name: mode,
      attributes: { mode: text(mode) },
      inputs: [image, sizes(0, 0, 2, 1, 0, 0, 3, 4)],
    },
    {
      op: "Pad",
      name: `${mode}, one axis cropped`,
      attributes: { mode: text(mode) },
      inputs: [image, sizes(0, 0, 2, -1, 0, 0, 0, 0)],
    },
  ]),
  {
    op: "Pad",
    name: "wrap",
    opset: 19,
    attributes: { mode: text("wrap") },
    inputs: [image, sizes(0, 0, 2, 1, 0, 0, 3, 4)],
  },
  {
    op: "Gather",
    name: "of repeated entries",
    inputs: [random([3, 4]), constant(int64Tensor([2, 3], [1, 1, 0, 3, -1, 1]))],
    attributes: { axis: int(1) },
  },
  {
    op: "DepthToSpace",
    name: "channels first",
    inputs: [random([2, 12, 2, 3])],
    attributes: { blocksize: int(2), mode: text("CRD") },
  },
]);
