import { float, floats, int, ints, tensor, text } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import { constant, omitted, random, testOps } from "../../support/opcase.js";

const vector = (...values: number[]) => constant(int64Tensor([values.length], values));
const scales = (...values: number[]) => constant(float32Tensor([values.length], values));
const END = 2 ** 63;

testOps([
  { op: "Concat", inputs: [random([2, 3, 2]), random([2, 1, 2])], attributes: { axis: int(1) } },
  {
    op: "Concat",
    name: "negative axis",
    inputs: [random([2, 3]), random([2, 2])],
    attributes: { axis: int(-1) },
  },
  {
    op: "Concat",
    name: "of constants too",
    inputs: [random([2]), scales(1, 2)],
    attributes: { axis: int(0) },
  },
]);

const image = random([2, 3, 6, 5]);
testOps([
  { op: "Slice", inputs: [image, vector(1), vector(3), vector(1)] },
  { op: "Slice", name: "without axes", inputs: [random([4, 5]), vector(1, -3), vector(END, -1)] },
  {
    op: "Slice",
    name: "strided",
    inputs: [image, vector(0, 1), vector(END, END), vector(2, 3), vector(2, 2)],
  },
  {
    op: "Slice",
    name: "strided, short of the end",
    inputs: [random([7]), vector(1), vector(5), vector(0), vector(3)],
  },
  {
    op: "Slice",
    name: "stride beyond the size",
    inputs: [random([5]), vector(3), vector(END), vector(0), vector(9)],
  },
  { op: "Slice", name: "reversed", inputs: [image, vector(-1), vector(-END), vector(-1), vector(-1)] },
  {
    op: "Slice",
    name: "reversed, strided",
    inputs: [random([8, 2]), vector(6), vector(0), vector(0), vector(-3)],
  },
  { op: "Slice", name: "of one element", inputs: [random([4, 3]), vector(-2), vector(-1), vector(0)] },
  {
    op: "Slice",
    name: "attributes",
    opset: 9,
    inputs: [{ kind: "fed", tensor: float32Tensor([4, 3], new Float32Array(12)) }],
    attributes: { starts: ints([1]), ends: ints([3]), axes: ints([0]) },
  },
]);

testOps([
  { op: "Split", inputs: [random([2, 6])], attributes: { axis: int(1) }, outputs: 3 },
  { op: "Split", name: "sizes", inputs: [random([5, 2]), vector(1, 4)], outputs: 2 },
  {
    op: "Split",
    name: "num_outputs",
    opset: 18,
    inputs: [random([7])],
    attributes: { num_outputs: int(3) },
    outputs: 3,
  },
  {
    op: "Split",
    name: "attribute",
    opset: 12,
    inputs: [{ kind: "fed", tensor: float32Tensor([3, 2], new Float32Array(6)) }],
    attributes: { split: ints([2, 1]) },
    outputs: 2,
  },
]);

testOps([
  { op: "Pad", inputs: [random([2, 3]), vector(1, 0, 0, 2)] },
  {
    op: "Pad",
    name: "value",
    inputs: [random([2, 3]), vector(1, 0, 0, 2), constant(float32Tensor([], [3]))],
  },
  { op: "Pad", name: "negative", inputs: [random([4, 5]), vector(-1, 2, 1, -2)] },
  { op: "Pad", name: "axes", opset: 18, inputs: [random([2, 3, 2]), vector(1, 2), omitted, vector(-2)] },
  {
    op: "Pad",
    name: "reflected",
    inputs: [{ kind: "fed", tensor: float32Tensor([2, 3], new Float32Array(6)) }, vector(0, 2, 0, 1)],
    attributes: { mode: text("reflect") },
  },
  {
    op: "Pad",
    name: "attributes",
    opset: 10,
    inputs: [{ kind: "fed", tensor: float32Tensor([2, 3], new Float32Array(6)) }],
    attributes: { pads: ints([0, 1, 0, 1]), value: float(2) },
  },
]);

testOps([
  { op: "Reshape", inputs: [random([2, 3, 4]), vector(4, 6)] },
  { op: "Reshape", name: "with 0 and -1", inputs: [random([2, 3, 4]), vector(0, -1, 2)] },
  { op: "Reshape", name: "to a scalar", inputs: [random([1, 1]), constant(int64Tensor([0], []))] },
  {
    op: "Reshape",
    name: "allowzero",
    inputs: [{ kind: "fed", tensor: float32Tensor([0, 3], []) }, vector(3, 0)],
    attributes: { allowzero: int(1) },
  },
  { op: "Flatten", inputs: [random([2, 3, 4])] },
  { op: "Flatten", name: "axis 0", inputs: [random([2, 3])], attributes: { axis: int(0) } },
  { op: "Flatten", name: "negative axis", inputs: [random([2, 3, 4])], attributes: { axis: int(-1) } },
  { op: "Flatten", name: "axis = rank", inputs: [random([2, 3])], attributes: { axis: int(2) } },
  { op: "Transpose", inputs: [random([2, 3, 4])] },
  { op: "Transpose", name: "perm", inputs: [random([2, 3, 4])], attributes: { perm: ints([1, 2, 0]) } },
  { op: "Squeeze", inputs: [random([1, 3, 1])] },
  { op: "Squeeze", name: "axes", inputs: [random([1, 3, 1]), vector(-1)] },
  {
    op: "Squeeze",
    name: "attribute",
    opset: 11,
    inputs: [{ kind: "fed", tensor: float32Tensor([1, 3, 1], [1, 2, 3]) }],
    attributes: { axes: ints([0]) },
  },
  { op: "Unsqueeze", inputs: [random([2, 3]), vector(0, -1)] },
  {
    op: "Unsqueeze",
    name: "attribute",
    opset: 11,
    inputs: [{ kind: "fed", tensor: float32Tensor([3], [1, 2, 3]) }],
    attributes: { axes: ints([1]) },
  },
  { op: "Identity", inputs: [random([2, 3])] },
  { op: "Dropout", inputs: [random([2, 3])] },
  { op: "Dropout", name: "with its mask", inputs: [random([2, 3])], outputs: 2 },
]);

testOps([
  { op: "Gather", inputs: [random([4, 3]), vector(2, 0)] },
  {
    op: "Gather",
    name: "all, permuted",
    inputs: [random([2, 4]), vector(3, 1, 0, -2)],
    attributes: { axis: int(1) },
  },
  {
    op: "Gather",
    name: "scalar",
    inputs: [random([4, 3]), constant(int64Tensor([], [-1]))],
    attributes: { axis: int(1) },
  },
  {
    op: "Gather",
    name: "matrix of indices",
    inputs: [random([5, 2]), constant(int64Tensor([2, 2], [4, 0, 1, 3]))],
  },
  { op: "Expand", inputs: [random([2, 1]), vector(3, 1, 4)] },
  { op: "Expand", name: "to less", inputs: [random([2, 3]), vector(1)] },
  { op: "Tile", inputs: [random([2, 3]), vector(2, 1)] },
  { op: "DepthToSpace", inputs: [random([1, 8, 2, 3])], attributes: { blocksize: int(2) } },
  { op: "SpaceToDepth", inputs: [random([1, 2, 4, 6])], attributes: { blocksize: int(2) } },
  { op: "Resize", name: "scales", inputs: [image, omitted, scales(1, 1, 2, 1.5)] },
  { op: "Resize", name: "sizes", inputs: [image, omitted, omitted, vector(2, 3, 4, 4)] },
  {
    op: "Resize",
    name: "axes",
    opset: 18,
    inputs: [image, omitted, scales(0.5), omitted],
    attributes: { axes: ints([2]) },
  },
  { op: "Resize", name: "opset 10", opset: 10, inputs: [image, scales(1, 1, 2, 2)] },
  { op: "Upsample", opset: 9, inputs: [image, scales(1, 1, 2, 2)] },
  {
    op: "Upsample",
    name: "attribute",
    opset: 7,
    inputs: [image],
    attributes: { scales: floats([1, 1, 2, 3]) },
  },
  { op: "InstanceNormalization", inputs: [image, random([3]), random([3])] },
  { op: "LRN", inputs: [image], attributes: { size: int(3) } },
  { op: "LayerNormalization", inputs: [random([2, 3, 4]), random([4])] },
  { op: "Shape", inputs: [image] },
  { op: "Shape", name: "part", inputs: [image], attributes: { start: int(-3), end: int(3) } },
  { op: "Size", inputs: [image] },
  { op: "ConstantOfShape", inputs: [vector(2, 3)], attributes: { value: tensor(int64Tensor([1], [7])) } },
  { op: "ConstantOfShape", name: "default", inputs: [vector(2, 3)] },
  { op: "Range", inputs: [5, 0, -2].map((value) => constant(int64Tensor([], [value]))) },
]);
