import { int, ints } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor, scalarTensor } from "../../src/graph/tensor.js";
import {
  constant,
  distinct,
  fed,
  type OpCase,
  type OwnInput,
  random,
  testOps,
  testValues,
} from "../../support/opcase.js";

const axesInput = constant(int64Tensor([2], [-1, 1]));
const reductions = [
  "ReduceMean",
  "ReduceSum",
  "ReduceMax",
  "ReduceMin",
  "ReduceSumSquare",
  "ReduceL2",
  "ReduceL1",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceProd",
];

function inputOf(op: string): OwnInput {
  if (op === "ReduceMax" || op === "ReduceMin") return distinct([2, 3, 4]);
  if (op === "ReduceL1") return random([2, 3, 4], -2, 2, [0]);
  return op === "ReduceProd" || op === "ReduceLogSum" ? random([2, 3, 4], 0.5, 1.5) : random([2, 3, 4]);
}

/** Both forms of the axes; ReduceSum has them as an input since opset 13 already. */
const cases: readonly OpCase[] = reductions.flatMap((op) => {
  const x = inputOf(op);
  return [
    {
      op,
      name: "axes as attribute",
      opset: op === "ReduceSum" ? 12 : 13,
      inputs: [x],
      attributes: { axes: ints([1, -1]), keepdims: int(0) },
    },
    { op, name: "axes as input", opset: 18, inputs: [x, axesInput] },
    {
      op,
      name: "axes as input, dropped",
      opset: 18,
      inputs: [x, axesInput],
      attributes: { keepdims: int(0) },
    },
    { op, name: "over all axes", inputs: [x], attributes: { keepdims: int(0) } },
  ];
});

const shapeOnly = cases.filter(({ opset }) => opset === 12);

testOps([
  ...cases.filter((opCase) => !shapeOnly.includes(opCase)),
  ...shapeOnly.map((opCase) => ({
    ...opCase,
    inputs: [fed(float32Tensor([2, 3, 4], new Float32Array(24)))],
  })),
  { op: "ArgMax", inputs: [fed(float32Tensor([2, 3], [1, 2, 3, 4, 5, 6]))], attributes: { axis: int(-1) } },
  {
    op: "ArgMax",
    name: "dropping the axis",
    inputs: [fed(float32Tensor([2, 3], [1, 2, 3, 4, 5, 6]))],
    attributes: { axis: int(1), keepdims: int(0) },
  },
  {
    op: "OneHot",
    inputs: [
      fed(int64Tensor([3], [0, 2, 1])),
      constant(int64Tensor([], [4])),
      constant(float32Tensor([2], [0, 1])),
    ],
  },
  {
    op: "OneHot",
    name: "on the first axis",
    inputs: [
      fed(int64Tensor([3], [0, 2, 1])),
      constant(scalarTensor(4)),
      constant(float32Tensor([2], [0, 1])),
    ],
    attributes: { axis: int(0) },
  },
  // Before opset 13 all axes from `axis` on are normalised together; only the shape can be checked there,
  // because gradients are written in opset 13.
  {
    op: "Softmax",
    name: "flattened",
    opset: 12,
    inputs: [fed(float32Tensor([2, 3, 4], new Float32Array(24)))],
    attributes: { axis: int(1) },
  },
  { op: "Softmax", opset: 13, inputs: [random([2, 3, 4])] },
  { op: "Softmax", name: "on the first axis", inputs: [random([2, 3])], attributes: { axis: int(0) } },
  { op: "LogSoftmax", opset: 13, inputs: [random([2, 3, 4])] },
  { op: "LogSoftmax", name: "on axis 1", inputs: [random([2, 3, 4])], attributes: { axis: int(1) } },
]);

const numbers = constant(int64Tensor([2, 3], [4, 2, 5, 3, 7, 1]));
testValues(
  ["ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin"].flatMap((op) => [
    { op, name: "over all axes", opset: 18, inputs: [numbers] },
    { op, name: "over rows", opset: 18, inputs: [numbers, constant(int64Tensor([1], [0]))] },
    {
      op,
      name: "over columns, dropped",
      opset: 18,
      inputs: [numbers, constant(int64Tensor([1], [1]))],
      attributes: { keepdims: int(0) },
    },
  ]),
);
