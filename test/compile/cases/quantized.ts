import { int, ints } from "../../../src/graph/attributes.js";
import { float32Tensor, scalarTensor } from "../../../src/graph/tensor.js";
import { type ByteType, bytesTensor, int32Tensor, randomBytes } from "../../../support/quantized.js";
import {
  type CaseInput,
  type ContractCase,
  constant,
  fed,
  networkCase,
  opCase,
  outputOf,
  random,
  weight,
} from "../contract_case.js";

const number = (value: number): CaseInput => constant(scalarTensor(value));
const numbers = (...values: readonly number[]): CaseInput => constant(float32Tensor([values.length], values));
const byte = (type: ByteType, value: number): CaseInput => constant(bytesTensor(type, [], [value]));
const someBytes = (type: ByteType, dims: readonly number[], values: readonly number[]): CaseInput =>
  constant(bytesTensor(type, dims, values));

const pixels = (dims: readonly number[]): CaseInput => fed(randomBytes("uint8", dims, [0, 255], 3));
/** Weights of 7 bits: sums are exact on every machine. */
const kernels = (dims: readonly number[]): CaseInput => constant(randomBytes("int8", dims, [-64, 63], 4));
const window = { pads: ints([1, 1, 1, 1]) };

const conversions = [
  opCase({ op: "QuantizeLinear", inputs: [random([3, 7], -40, 40), number(0.1), byte("uint8", 100)] }),
  opCase(
    {
      op: "QuantizeLinear",
      inputs: [
        fed(float32Tensor([9], [0.5, 1.5, 2.5, -0.5, -1.5, 300, -300, 0, 0.49])),
        number(1),
        byte("int8", 3),
      ],
    },
    { name: "halves and what is too large" },
  ),
  opCase({ op: "QuantizeLinear", inputs: [random([3, 7], -40, 40), number(0.3)] }, { name: "no zero point" }),
  opCase(
    {
      op: "QuantizeLinear",
      inputs: [random([2, 3, 5], -9, 9), numbers(0.1, 0.2, 0.05), someBytes("int8", [3], [0, 5, -9])],
      attributes: { axis: int(1) },
    },
    { name: "along an axis" },
  ),
  opCase({ op: "DequantizeLinear", inputs: [pixels([2, 3, 5]), number(0.1), byte("uint8", 100)] }),
  opCase(
    {
      op: "DequantizeLinear",
      inputs: [kernels([3, 4]), numbers(0.1, 0.2, 0.5), someBytes("int8", [3], [0, 5, -9])],
      attributes: { axis: int(0) },
    },
    { name: "constant, along an axis" },
  ),
  opCase(
    {
      op: "DequantizeLinear",
      inputs: [kernels([6, 4]), weight([2, 4], 0, 0.1, 1), constant(randomBytes("int8", [2, 4], [-5, 5], 7))],
      attributes: { axis: int(0), block_size: int(3) },
    },
    { name: "in blocks", opset: 21 },
  ),
  opCase(
    {
      op: "DequantizeLinear",
      inputs: [constant(int32Tensor([3], [70000, -5, 0])), number(0.25)],
    },
    { name: "int32" },
  ),
  networkCase([{ op: "DynamicQuantizeLinear", inputs: [random([3, 17], -3, 5)], outputs: 3 }]),
  networkCase([{ op: "DynamicQuantizeLinear", inputs: [random([4, 5], 1, 5)], outputs: 3 }], {
    name: "positive",
  }),
  networkCase([{ op: "DynamicQuantizeLinear", inputs: [fed(float32Tensor([2], [0, 0]))], outputs: 3 }], {
    name: "zeros",
  }),
];

const products = [
  opCase({
    op: "ConvInteger",
    inputs: [pixels([1, 3, 6, 5]), kernels([4, 3, 3, 3]), byte("uint8", 7), byte("int8", -2)],
    attributes: window,
  }),
  opCase(
    {
      op: "ConvInteger",
      inputs: [pixels([2, 3, 6, 5]), kernels([4, 3, 3, 3])],
      attributes: { strides: ints([2, 2]) },
    },
    { name: "no zero points" },
  ),
  opCase(
    {
      op: "ConvInteger",
      inputs: [pixels([1, 16, 16, 16]), kernels([16, 16, 3, 3]), byte("uint8", 7)],
      attributes: window,
    },
    { name: "as large as what Winograd's filtering is for" },
  ),
  opCase({
    op: "MatMulInteger",
    inputs: [pixels([3, 9]), kernels([9, 5]), byte("uint8", 120), byte("int8", 1)],
  }),
  opCase(
    {
      op: "MatMulInteger",
      inputs: [pixels([3, 9]), kernels([9, 2]), byte("uint8", 9), someBytes("int8", [2], [3, -4])],
    },
    { name: "zero points of columns" },
  ),
  opCase({
    op: "QLinearConv",
    inputs: [
      ...[pixels([1, 3, 6, 5]), number(0.02), byte("uint8", 128)],
      ...[kernels([4, 3, 3, 3]), numbers(0.01, 0.02, 0.005, 0.03), someBytes("int8", [4], [0, 0, 0, 0])],
      ...[number(0.05), byte("uint8", 110), constant(int32Tensor([4], [500, -2000, 0, 90]))],
    ],
    attributes: window,
  }),
  opCase({
    op: "QLinearMatMul",
    inputs: [
      ...[pixels([3, 9]), number(0.02), byte("uint8", 128)],
      ...[kernels([9, 5]), number(0.01), byte("int8", 0), number(0.03), byte("uint8", 100)],
    ],
  }),
];

/** What dynamic quantization leaves: integers inside, float32 outside. Scales of powers of two keep it exact. */
const networks = [
  networkCase(
    [
      { op: "DynamicQuantizeLinear", inputs: [random([2, 8], -2, 3)], outputs: 3 },
      { op: "MatMulInteger", inputs: [outputOf(0), kernels([8, 6]), outputOf(0, 2)] },
      { op: "Cast", inputs: [outputOf(1)], attributes: { to: int(1) } },
      { op: "Mul", inputs: [outputOf(0, 1), number(0.0078125)] },
      { op: "Mul", inputs: [outputOf(2), outputOf(3)] },
    ],
    { name: "dynamic" },
  ),
  networkCase(
    [
      { op: "QuantizeLinear", inputs: [random([1, 3, 6, 6]), number(2 ** -6), byte("uint8", 128)] },
      { op: "DequantizeLinear", inputs: [outputOf(0), number(2 ** -6), byte("uint8", 128)] },
      { op: "DequantizeLinear", inputs: [kernels([4, 3, 3, 3]), number(2 ** -7), byte("int8", 0)] },
      { op: "Conv", inputs: [outputOf(1), outputOf(2)], attributes: window },
      { op: "QuantizeLinear", inputs: [outputOf(3), number(2 ** -4), byte("uint8", 0)] },
      { op: "MaxPool", inputs: [outputOf(4)], attributes: { kernel_shape: ints([2, 2]) } },
      { op: "DequantizeLinear", inputs: [outputOf(5), number(2 ** -4), byte("uint8", 0)] },
    ],
    { name: "pairs" },
  ),
];

export const quantizedCases: readonly ContractCase[] = [...conversions, ...products, ...networks];
