import { float, floatAttribute, int, intAttribute } from "../../graph/attributes.js";
import { elementCount, float32Tensor, numericData, numericTensor } from "../../graph/tensor.js";
import type { Attribute, ElementType, Node } from "../../graph/types.js";
import { normalizeAxis } from "../arguments.js";
import type { TypedBuilder } from "../builder.js";
import { cast } from "../element_types.js";
import { mul, transpose } from "../emit.js";

/**
 * Operators on quantized numbers that ONNX Runtime's quantizer writes and the standard does not have. Those that
 * compute with real numbers inside (its tables do) are the real operator between DequantizeLinear and QuantizeLinear;
 * products are sums of integers.
 */

/** Writes a node in standard operators; false where it cannot, and then it has emitted nothing but constants. */
export type Unfusing = (b: TypedBuilder, node: Node) => boolean;

/** What becomes of products: sums of integers, exactly, or a layer for the network behind the integers. */
export type QuantizedProducts = "integers" | "real";

/** The operators by name. */
export function quantizedRules(products: QuantizedProducts): ReadonlyMap<string, Unfusing> {
  return new Map<string, Unfusing>([
    ["QLinearAdd", ofTwo("Add")],
    ["QLinearMul", ofTwo("Mul")],
    ["QLinearLeakyRelu", ofOne(leakyRelu)],
    ["QLinearSigmoid", ofOne((b, x) => b.emit("Sigmoid", [x]))],
    ["QLinearSoftmax", ofOne(softmax)],
    ["QLinearGlobalAveragePool", ofOne(channelsLast((b, x) => b.emit("GlobalAveragePool", [x])))],
    ["QLinearAveragePool", ofOne(channelsLast(averagePool))],
    ["QLinearConcat", concat],
    ["QLinearWhere", where],
    ["QLinearConv", convolution],
    ["NhwcMaxPool", maxPool],
    ["QGemm", products === "integers" ? integerGemm : realGemm],
    ["MatMulIntegerToFloat", matMulToFloat],
    ["DynamicQuantizeMatMul", dynamicMatMul],
    ["QuantizeLinear", standard],
    ["DequantizeLinear", standard],
  ]);
}

/** A quantized value: the names of its integers, its scale and its zero point. */
type Quantized = readonly [values: string, scale: string, zeroPoint: string];

function quantizedAt({ inputs }: Node, index: number): Quantized {
  return [inputs[index] ?? "", inputs[index + 1] ?? "", inputs[index + 2] ?? ""];
}

function real(b: TypedBuilder, [values, scale, zeroPoint]: Quantized, axis?: number): string {
  const attributes = axis === undefined ? {} : { axis: int(axis) };
  return b.emit("DequantizeLinear", zeroPoint === "" ? [values, scale] : [values, scale, zeroPoint], {
    attributes,
  });
}

/** What says how a result is rounded: without a zero point, the type that it shares with an operand. */
interface Rounding {
  readonly scale: string;
  readonly zeroPoint: string;
}

/** The scale and zero point of a node's result in two of its inputs; undefined where their type is not known. */
function roundingAt(b: TypedBuilder, { inputs }: Node, index: number, like: string): Rounding | undefined {
  const [scale = "", stated = ""] = inputs.slice(index);
  const zeroPoint = stated === "" ? zeroOf(b, b.types.get(like)?.elementType) : stated;
  return scale === "" || zeroPoint === undefined ? undefined : { scale, zeroPoint };
}

function zeroOf(b: TypedBuilder, type: ElementType | undefined): string | undefined {
  const zero = type === undefined ? undefined : numericTensor(type, [], [0]);
  return zero === undefined ? undefined : b.constant("zero_point", zero);
}

function round(b: TypedBuilder, x: string, { scale, zeroPoint }: Rounding, node: Node): true {
  b.emit("QuantizeLinear", [x, scale, zeroPoint], { outputs: [node.outputs[0] ?? ""] });
  return true;
}

/** Inputs: two quantized values, scale and zero point of the result. */
function ofTwo(op: string): Unfusing {
  return (b, node) => {
    const [left, right] = [quantizedAt(node, 0), quantizedAt(node, 3)];
    const rounding = roundingAt(b, node, 6, left[0]);
    return rounding !== undefined && round(b, b.emit(op, [real(b, left), real(b, right)]), rounding, node);
  };
}

/** What an operator of one input does with real numbers; undefined where its form is not known. */
type RealForm = (b: TypedBuilder, x: string, node: Node) => string | undefined;

/** Inputs: a quantized value, scale and zero point of the result. */
function ofOne(form: RealForm): Unfusing {
  return (b, node) => {
    const operand = quantizedAt(node, 0);
    const rounding = roundingAt(b, node, 3, operand[0]);
    if (rounding === undefined || b.types.get(operand[0])?.shape === undefined) return false;
    const result = form(b, real(b, operand), node);
    return result !== undefined && round(b, result, rounding, node);
  };
}

const leakyRelu: RealForm = (b, x, node) =>
  b.emit("LeakyRelu", [x], { attributes: { alpha: float(floatAttribute(node, "alpha") ?? 0.01) } });

const rankOf = (b: TypedBuilder, x: string): number => b.types.get(x)?.shape?.length ?? 0;

/** Its attribute `opset` says whether axes behind the stated one count as well, as they did before operator set 13. */
const softmax: RealForm = (b, x, node) => {
  const axis = normalizeAxis(node, intAttribute(node, "axis") ?? -1, rankOf(b, x));
  const isSameMeaning = (intAttribute(node, "opset") ?? 13) < 13 === b.opset < 13;
  if (!isSameMeaning && axis !== rankOf(b, x) - 1) return undefined;
  return b.emit("Softmax", [x], { attributes: { axis: int(axis) } });
};

const AVERAGE_POOL = ["auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"];

const averagePool: RealForm = (b, x, node) =>
  b.emit("AveragePool", [x], { attributes: attributesOf(node, AVERAGE_POOL) });

function attributesOf(node: Node, names: readonly string[]): Readonly<Record<string, Attribute | undefined>> {
  return Object.fromEntries(names.map((name) => [name, node.attributes.get(name)]));
}

const areChannelsLast = (node: Node): boolean => intAttribute(node, "channels_last") === 1;

/** The form of a node whose channels may come last. */
function channelsLast(form: RealForm): RealForm {
  return (b, x, node) => {
    if (!areChannelsLast(node)) return form(b, x, node);
    const result = form(b, channelsFirst(b, x), node);
    return result === undefined ? undefined : lastAgain(b, result);
  };
}

function channelsFirst(b: TypedBuilder, x: string): string {
  const rank = rankOf(b, x);
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return transpose(b, x, [0, rank - 1, ...axes.slice(1, -1)]);
}

function lastAgain(b: TypedBuilder, x: string, y?: string): string {
  const axes = Array.from({ length: rankOf(b, x) }, (_, axis) => axis);
  const perm = [0, ...axes.slice(2), 1];
  if (y === undefined) return transpose(b, x, perm);
  return b.emit("Transpose", [x], {
    outputs: [y],
    attributes: { perm: { kind: "ints", value: perm.map(BigInt) } },
  });
}

/** Inputs: scale and zero point of the result, then the quantized parts. */
function concat(b: TypedBuilder, node: Node): boolean {
  const starts = Array.from({ length: Math.floor((node.inputs.length - 2) / 3) }, (_, part) => 2 + 3 * part);
  const parts = starts.map((at) => quantizedAt(node, at));
  const rounding = roundingAt(b, node, 0, parts[0]?.[0] ?? "");
  if (rounding === undefined) return false;
  const inputs = parts.map((part) => real(b, part));
  const joined = b.emit("Concat", inputs, { attributes: attributesOf(node, ["axis"]) });
  return round(b, joined, rounding, node);
}

/** Inputs: a condition, two quantized values, scale and zero point of the result. */
function where(b: TypedBuilder, node: Node): boolean {
  const [chosen, other] = [quantizedAt(node, 1), quantizedAt(node, 4)];
  const rounding = roundingAt(b, node, 7, chosen[0]);
  if (rounding === undefined) return false;
  const condition = node.inputs[0] ?? "";
  return round(b, b.emit("Where", [condition, real(b, chosen), real(b, other)]), rounding, node);
}

/** The standard's QLinearConv, but that its data may have the channels last. */
function convolution(b: TypedBuilder, node: Node): boolean {
  const [x = "", ...others] = node.inputs;
  const attributes = attributesOf(node, [
    ...["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
  ]);
  const y = node.outputs[0] ?? "";
  if (!areChannelsLast(node)) {
    b.emit("QLinearConv", node.inputs, { outputs: [y], attributes });
    return true;
  }
  if (b.types.get(x)?.shape === undefined) return false;
  lastAgain(b, b.emit("QLinearConv", [channelsFirst(b, x), ...others], { attributes }), y);
  return true;
}

const MAX_POOL = ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"];

/** MaxPool of integers whose channels come last. */
function maxPool(b: TypedBuilder, node: Node): boolean {
  const [x = ""] = node.inputs;
  if (b.types.get(x)?.shape === undefined) return false;
  const pooled = b.emit("MaxPool", [channelsFirst(b, x)], { attributes: attributesOf(node, MAX_POOL) });
  lastAgain(b, pooled, node.outputs[0] ?? "");
  return true;
}

/** Inputs: two quantized matrices, a bias in units of both scales together, scale and zero point of a rounded result. */
interface Gemm {
  readonly a: Quantized;
  readonly c: Quantized;
  readonly bias: string;
  readonly alpha: number;
  readonly isTurned: readonly [boolean, boolean];
}

function gemmOf(node: Node): Gemm {
  const isSet = (name: string): boolean => intAttribute(node, name) === 1;
  return {
    a: quantizedAt(node, 0),
    c: quantizedAt(node, 3),
    bias: node.inputs[6] ?? "",
    alpha: floatAttribute(node, "alpha") ?? 1,
    isTurned: [isSet("transA"), isSet("transB")],
  };
}

/** The result of a product as it is, or rounded where inputs 7 and 8 say how. */
function result(b: TypedBuilder, node: Node, emit: (outputs: readonly string[]) => string): boolean {
  const isRounded = (node.inputs[7] ?? "") !== "";
  if (!isRounded) {
    emit([node.outputs[0] ?? ""]);
    return true;
  }
  const rounding = roundingAt(b, node, 7, node.inputs[0] ?? "");
  return rounding !== undefined && round(b, emit([b.freshName("gemm")]), rounding, node);
}

function integerGemm(b: TypedBuilder, node: Node): boolean {
  const { a, c, bias, alpha, isTurned } = gemmOf(node);
  const [left, right] = [a[0], c[0]].map((name, at) =>
    isTurned[at] === true ? transpose(b, name, [1, 0]) : name,
  );
  const product = integerProduct(b, left ?? "", right ?? "", a[2], c[2]);
  const sums = bias === "" ? product : b.emit("Add", [product, bias]);
  const scales = mul(b, a[1], c[1]);
  const factor = alpha === 1 ? scales : mul(b, scales, b.scalar(alpha));
  return result(b, node, (outputs) => b.emit("Mul", [cast(b, sums, "float32"), factor], { outputs }));
}

function realGemm(b: TypedBuilder, node: Node): boolean {
  const { a, c, bias, alpha, isTurned } = gemmOf(node);
  const [ofData, ofWeights] = [a[1], c[1]].map((name) => b.constantTensor(name));
  if (bias !== "" && (ofData === undefined || ofWeights === undefined)) return false;
  const inputs = [real(b, a), real(b, c, isTurned[1] ? 0 : 1)];
  if (bias !== "" && ofData !== undefined && ofWeights !== undefined) {
    const [scale = 1] = numericData(ofData);
    const scales = numericData(ofWeights).map((each) => Math.fround(scale * each) * alpha);
    const unit = b.constant(`${bias}_scale`, float32Tensor(ofWeights.dims, scales));
    const axis = elementCount(ofWeights.dims) > 1 ? rankOf(b, bias) - 1 : 0;
    inputs.push(real(b, [bias, unit, ""], axis));
  }
  const attributes = {
    alpha: float(alpha),
    transA: int(isTurned[0] ? 1 : 0),
    transB: int(isTurned[1] ? 1 : 0),
  };
  return result(b, node, (outputs) => b.emit("Gemm", inputs, { outputs, attributes }));
}

function integerProduct(
  b: TypedBuilder,
  left: string,
  right: string,
  leftZero: string,
  rightZero: string,
): string {
  const zeros = rightZero === "" ? (leftZero === "" ? [] : [leftZero]) : [leftZero, rightZero];
  return b.emit("MatMulInteger", [left, right, ...zeros]);
}

/** sums * (scale * scale) + bias. */
function scaledSums(
  b: TypedBuilder,
  sums: string,
  scales: readonly [string, string],
  bias: string,
  y: string,
): true {
  const product = bias === "" ? y : b.freshName("product");
  // In this order, since what quantizes data dynamically is told by its scale's reader.
  b.emit("Mul", [cast(b, sums, "float32"), b.emit("Mul", [...scales])], { outputs: [product] });
  if (bias !== "") b.emit("Add", [product, bias], { outputs: [y] });
  return true;
}

/** Inputs: two matrices of integers, their scales, their zero points, a bias. */
function matMulToFloat(b: TypedBuilder, node: Node): boolean {
  const [left = "", right = "", scale = "", otherScale = "", zero = "", otherZero = "", bias = ""] =
    node.inputs;
  const sums = integerProduct(b, left, right, zero, otherZero);
  return scaledSums(b, sums, [scale, otherScale], bias, node.outputs[0] ?? "");
}

/** Inputs: a matrix of real numbers, one of integers with its scale and zero point, a bias. */
function dynamicMatMul(b: TypedBuilder, node: Node): boolean {
  const [x = "", right = "", otherScale = "", otherZero = "", bias = ""] = node.inputs;
  const outputs = ["integers", "scale", "zero_point"].map((stem) => b.freshName(`${x}_${stem}`));
  const [integers = "", scale = "", zero = ""] = outputs;
  b.emit("DynamicQuantizeLinear", [x], { outputs });
  const sums = integerProduct(b, integers, right, zero, otherZero);
  return scaledSums(b, sums, [scale, otherScale], bias, node.outputs[0] ?? "");
}

/** Conversions that the standard has too, for integers of 8 bits and sums. */
function standard(b: TypedBuilder, node: Node): boolean {
  const [x = "", , zeroPoint = ""] = node.inputs;
  const types = [x, zeroPoint].map((name) => b.types.get(name)?.elementType);
  if (!types.some((type) => type === "int8" || type === "uint8" || type === "int32")) return false;
  b.append({ ...node, domain: "" });
  return true;
}
