import { float, floats, int, ints, tensor, text } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor, numericTensor } from "../../src/graph/tensor.js";
import type { Attribute, ElementType, Tensor } from "../../src/graph/types.js";
import { filled } from "../../support/random_graph.js";

/** A node in the form that it has in the operator sets `from` to `to`, with inputs x, c0, c1, ... */
export interface OpsetForm {
  readonly op: string;
  readonly what?: string;
  /** 9 and 26 by default. */
  readonly from?: number;
  readonly to?: number;
  /** Fed. */
  readonly x: Tensor;
  /** Initializers; undefined: an omitted input. */
  readonly constants?: readonly (Tensor | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** 1 by default. */
  readonly outputs?: number;
}

const longs = (...values: number[]): Tensor => int64Tensor([values.length], values);
const reals = (...values: number[]): Tensor => float32Tensor([values.length], values);
const typed = (type: ElementType, ...values: number[]): Tensor =>
  numericTensor(type, [values.length], values) ?? reals(...values);
const scalar = (value: number): Tensor => float32Tensor([], [value]);
const positive = (...dims: number[]): Tensor => {
  const { bytes } = filled(...dims);
  return float32Tensor(
    dims,
    new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4).map((value) => value ** 2 + 0.1),
  );
};

const image = filled(2, 4, 6, 5);
const window = { kernel_shape: ints([3, 2]), strides: ints([2, 1]), pads: ints([1, 0, 1, 1]) };

/** Operators of one input whose form never changed. */
const elementwise: readonly string[] = [
  ...["Abs", "Elu", "Erf", "Exp", "HardSigmoid", "Identity", "LeakyRelu", "Neg", "Relu", "Sigmoid", "Sign"],
  ...["Softplus", "Tanh"],
];

const arithmetic: readonly string[] = ["Add", "Div", "Max", "Min", "Mul", "Sub", "Sum"];
const comparisons: readonly string[] = ["Greater", "Less"];

/** Reductions whose axes became an input in version 18. */
const reductions: readonly string[] = ["ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSumSquare"];

function reduction(op: string, inputSince: number, x: Tensor = image): readonly OpsetForm[] {
  const old = { op, to: inputSince - 1, x };
  const present = { op, from: inputSince, x };
  return [
    { ...old, what: "axes as attribute", attributes: { axes: ints([-1, 2]), keepdims: int(0) } },
    { ...old, what: "all axes" },
    { ...present, what: "axes as input", constants: [longs(-1, 2)], attributes: { keepdims: int(0) } },
    { ...present, what: "all axes" },
    {
      ...present,
      what: "no axes",
      constants: [longs()],
      attributes: { noop_with_empty_axes: int(op === "ReduceMean" ? 0 : 1) },
    },
  ];
}

/** Every form in which the operators that Penni knows appear in operator sets 9 to 26 (ONNX Changelog). */
export const opsetForms: readonly OpsetForm[] = [
  ...elementwise.map((op) => ({ op, x: image })),
  ...["Log", "Reciprocal", "Sqrt"].map((op) => ({ op, x: positive(2, 3) })),
  { op: "HardSwish", from: 14, x: image },
  ...arithmetic.map((op) => ({ op, x: image, constants: [positive(4, 1, 1)] })),
  ...comparisons.map((op) => ({ op, x: image, constants: [filled(4, 1, 5)] })),
  { op: "Equal", what: "of integers", x: longs(1, 2), constants: [longs(1, 3)] },
  { op: "Equal", from: 11, x: image, constants: [filled(4, 1, 5)] },
  ...["GreaterOrEqual", "LessOrEqual"].map((op) => ({ op, from: 12, x: image, constants: [filled(5)] })),
  ...["And", "Or"].map((op) => ({
    op,
    x: typed("bool", 1, 0, 1, 0),
    constants: [typed("bool", 1, 1, 0, 0)],
  })),
  { op: "Not", x: typed("bool", 1, 0) },
  { op: "Pow", x: positive(2, 3), constants: [reals(2, 0.5, 3)] },
  { op: "PRelu", x: image, constants: [filled(4, 1, 1)] },
  { op: "Where", x: typed("bool", 1, 0, 1), constants: [filled(2, 3), scalar(0)] },
  {
    op: "ArgMax",
    to: 11,
    x: image,
    attributes: { axis: int(1), keepdims: int(0) },
  },
  {
    op: "ArgMax",
    what: "last of equals",
    from: 12,
    x: reals(1, 3, 3),
    attributes: { axis: int(-1), select_last_index: int(1) },
  },
  { op: "AveragePool", x: image, attributes: { ...window, count_include_pad: int(1) } },
  { op: "AveragePool", what: "ceil_mode", from: 10, x: image, attributes: { ...window, ceil_mode: int(1) } },
  {
    op: "AveragePool",
    what: "dilations",
    from: 19,
    x: image,
    attributes: { kernel_shape: ints([2, 2]), dilations: ints([3, 2]), pads: ints([0, 1, 0, 1]) },
  },
  { op: "BatchNormalization", x: image, constants: [filled(4), filled(4), filled(4), positive(4)] },
  {
    op: "BatchNormalization",
    what: "training_mode stated",
    from: 14,
    x: image,
    constants: [filled(4), filled(4), filled(4), positive(4)],
    attributes: { training_mode: int(0), momentum: float(0.8) },
  },
  { op: "Cast", x: image, attributes: { to: int(7) } },
  { op: "Cast", what: "saturate", from: 19, x: image, attributes: { to: int(11), saturate: int(1) } },
  { op: "Clip", to: 10, x: image, attributes: { min: float(-0.2), max: float(0.5) } },
  { op: "Clip", from: 11, x: image, constants: [undefined, scalar(0.5)] },
  { op: "Concat", x: image, constants: [filled(2, 1, 6, 5)], attributes: { axis: int(1) } },
  { op: "ConstantOfShape", x: longs(2, 3), attributes: { value: tensor(reals(7)) } },
  {
    op: "Conv",
    x: image,
    constants: [filled(6, 2, 3, 2), filled(6)],
    attributes: { ...window, group: int(2) },
  },
  {
    op: "Conv",
    what: "SAME_LOWER",
    x: image,
    constants: [filled(3, 4, 2, 2)],
    attributes: { auto_pad: text("SAME_LOWER") },
  },
  { op: "ConvTranspose", x: image, constants: [filled(4, 3, 2, 2)], attributes: { strides: ints([2, 1]) } },
  { op: "DepthToSpace", x: image, attributes: { blocksize: int(2) } },
  {
    op: "DepthToSpace",
    what: "CRD",
    from: 11,
    x: image,
    attributes: { blocksize: int(2), mode: text("CRD") },
  },
  { op: "Dropout", to: 11, x: image, attributes: { ratio: float(0.3) } },
  { op: "Dropout", from: 12, x: image, constants: [scalar(0.3), numericTensor("bool", [], [0])] },
  { op: "Expand", x: filled(3, 1), constants: [longs(2, 3, 4)] },
  { op: "Flatten", x: image, attributes: { axis: int(2) } },
  { op: "Flatten", what: "negative axis", from: 11, x: image, attributes: { axis: int(-1) } },
  { op: "Gather", x: image, constants: [longs(3, 0)], attributes: { axis: int(1) } },
  {
    op: "Gather",
    what: "negative index",
    from: 11,
    x: image,
    constants: [longs(-1)],
    attributes: { axis: int(2) },
  },
  {
    op: "Gemm",
    x: filled(2, 3),
    constants: [filled(4, 3), filled(4)],
    attributes: { transB: int(1), alpha: float(0.5) },
  },
  { op: "Gemm", what: "without bias", from: 11, x: filled(2, 3), constants: [filled(3, 4)] },
  { op: "GlobalAveragePool", x: image },
  { op: "GlobalMaxPool", x: image },
  { op: "InstanceNormalization", x: image, constants: [filled(4), filled(4)] },
  {
    op: "LayerNormalization",
    from: 17,
    x: image,
    constants: [filled(6, 5), filled(6, 5)],
    attributes: { axis: int(-2) },
  },
  { op: "LRN", x: image, attributes: { size: int(3) } },
  ...["Softmax", "LogSoftmax"].flatMap((op): OpsetForm[] => [
    { op, x: filled(3, 5) },
    { op, what: "along axis 1", x: image, attributes: { axis: int(1) } },
  ]),
  { op: "MatMul", x: filled(2, 3, 4), constants: [filled(4, 5)] },
  { op: "MaxPool", x: image, attributes: window, outputs: 2 },
  {
    op: "MaxPool",
    what: "dilations and ceil_mode",
    from: 10,
    x: image,
    attributes: { ...window, dilations: ints([1, 2]), ceil_mode: int(1) },
  },
  {
    op: "MaxUnpool",
    x: filled(1, 1, 2, 2),
    constants: [int64Tensor([1, 1, 2, 2], [0, 3, 9, 14])],
    attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
  },
  { op: "OneHot", x: longs(1, 0, 2), constants: [longs(3), reals(0, 1)] },
  {
    op: "OneHot",
    what: "negative axis",
    from: 11,
    x: longs(1, -1, 2),
    constants: [longs(3), reals(0, 1)],
    attributes: { axis: int(-2) },
  },
  { op: "Pad", to: 10, x: image, attributes: { pads: ints([0, 1, 0, 0, 0, 0, 2, -1]), value: float(0.5) } },
  { op: "Pad", from: 11, x: image, constants: [longs(0, 1, 0, 0, 0, 0, 2, -1), scalar(0.5)] },
  { op: "Pad", what: "axes", from: 18, x: image, constants: [longs(1, 0, 2, 3), undefined, longs(-1, 1)] },
  {
    op: "Pad",
    what: "wrap",
    from: 19,
    x: image,
    constants: [longs(0, 0, 1, 2, 0, 0, 0, 3)],
    attributes: { mode: text("wrap") },
  },
  { op: "Range", from: 11, x: scalar(1), constants: [scalar(7), scalar(2)] },
  ...reduction("ReduceSum", 13),
  ...reductions.flatMap((op) => reduction(op, 18)),
  ...reduction("ReduceLogSum", 18, positive(2, 4, 6, 5)),
  { op: "Reshape", x: image, constants: [longs(0, -1, 5)] },
  {
    op: "Reshape",
    what: "allowzero",
    from: 14,
    x: filled(2, 0, 3),
    constants: [longs(3, 0, 7)],
    attributes: { allowzero: int(1) },
  },
  { op: "Resize", to: 10, from: 10, x: image, constants: [reals(1, 1, 2, 2)] },
  {
    op: "Resize",
    what: "scales",
    from: 11,
    x: image,
    constants: [reals(), reals(1, 1, 2, 0.6)],
    attributes: { mode: text("linear"), coordinate_transformation_mode: text("half_pixel") },
  },
  { op: "Resize", what: "sizes", from: 13, x: image, constants: [undefined, undefined, longs(2, 4, 12, 10)] },
  {
    op: "Resize",
    what: "axes",
    from: 18,
    x: image,
    constants: [undefined, reals(2, 3)],
    attributes: { axes: ints([3, 2]), antialias: int(0) },
  },
  {
    op: "Resize",
    what: "keeping the aspect ratio",
    from: 18,
    x: image,
    constants: [undefined, undefined, longs(12, 12)],
    attributes: { axes: ints([2, 3]), keep_aspect_ratio_policy: text("not_larger") },
  },
  {
    op: "Resize",
    what: "half_pixel_symmetric",
    from: 19,
    x: image,
    constants: [undefined, reals(1, 1, 2, 2)],
    attributes: { mode: text("linear"), coordinate_transformation_mode: text("half_pixel_symmetric") },
  },
  { op: "Shape", x: image },
  { op: "Shape", what: "start and end", from: 15, x: image, attributes: { start: int(1), end: int(-1) } },
  { op: "Size", x: image },
  {
    op: "Slice",
    to: 9,
    x: image,
    attributes: { starts: ints([1, -3]), ends: ints([2 ** 31, -1]), axes: ints([1, 2]) },
  },
  { op: "Slice", from: 10, x: image, constants: [longs(5, 1), longs(-7, 3), longs(2, 1), longs(-2, 1)] },
  { op: "SpaceToDepth", x: filled(1, 2, 4, 6), attributes: { blocksize: int(2) } },
  { op: "Split", to: 12, x: image, attributes: { axis: int(1), split: ints([1, 3]) }, outputs: 2 },
  { op: "Split", what: "halves", to: 17, x: image, attributes: { axis: int(1) }, outputs: 2 },
  {
    op: "Split",
    what: "sizes as input",
    from: 13,
    x: image,
    constants: [longs(1, 3)],
    attributes: { axis: int(-3) },
    outputs: 2,
  },
  {
    op: "Split",
    what: "num_outputs that leaves a smaller rest",
    from: 18,
    x: image,
    attributes: { axis: int(3), num_outputs: int(3) },
    outputs: 3,
  },
  { op: "Squeeze", to: 12, x: filled(1, 3, 1), attributes: { axes: ints([0]) } },
  { op: "Squeeze", from: 13, x: filled(1, 3, 1), constants: [longs(-1)] },
  { op: "Tile", x: filled(2, 3), constants: [longs(1, 2)] },
  { op: "Transpose", x: image, attributes: { perm: ints([0, 2, 3, 1]) } },
  { op: "Unsqueeze", to: 12, x: filled(3), attributes: { axes: ints([0, 2]) } },
  { op: "Unsqueeze", from: 13, x: filled(3), constants: [longs(-1, 0)] },
  { op: "Upsample", to: 9, x: image, constants: [reals(1, 1, 2, 2)], attributes: { mode: text("linear") } },
  // Not known to Penni when this was written, or walls: they must pass through unharmed.
  { op: "TopK", to: 9, x: filled(3, 5), attributes: { k: int(2) }, outputs: 2 },
  { op: "TopK", from: 10, x: filled(3, 5), constants: [longs(2)], outputs: 2 },
  { op: "Hardmax", x: filled(3, 5) },
  {
    op: "DequantizeLinear",
    from: 10,
    x: numericTensor("uint8", [2, 2], [0, 9, 128, 255]) ?? image,
    constants: [scalar(0.1), numericTensor("uint8", [], [128])],
  },
  {
    op: "DequantizeLinear",
    what: "along an axis",
    from: 13,
    x: numericTensor("uint8", [2, 2], [0, 9, 128, 255]) ?? image,
    constants: [reals(0.1, 0.2), typed("uint8", 3, 128)],
    attributes: { axis: int(0) },
  },
  {
    op: "GroupNormalization",
    what: "scale per group",
    from: 18,
    to: 20,
    x: image,
    constants: [filled(2), filled(2)],
    attributes: { num_groups: int(2) },
  },
  {
    op: "GroupNormalization",
    what: "scale per channel",
    from: 21,
    x: image,
    constants: [filled(4), filled(4)],
    attributes: { num_groups: int(2) },
  },
  { op: "Mish", from: 18, x: image },
  { op: "Gelu", from: 20, x: image, attributes: { approximate: text("tanh") } },
  { op: "Constant", x: image, attributes: { value: tensor(filled(2, 2)) } },
  {
    op: "Constant",
    what: "value_floats",
    from: 12,
    x: image,
    attributes: { value_floats: floats([1, 2.5]) },
  },
];
