import { at, hasInput, inputOf, outputOf } from "../../graph/at.js";
import { float, floatAttributeOr, int, intAttribute } from "../../graph/attributes.js";
import { firstOf, inputOrOmitted, inputsOf } from "../../graph/operands.js";
import { elementCount, float32Tensor, numericData } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { cast } from "../core/element_types.js";
import { mul, transpose } from "../core/emit.js";
import type { TypedBuilder } from "../inference/builder.js";
import { type Quantized, quantizedAt, real, round, roundingAt } from "./quantized_operands.js";

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
    bias: inputOrOmitted(node, 6),
    alpha: floatAttributeOr(node, "alpha", 1),
    isTurned: [isSet("transA"), isSet("transB")],
  };
}

/** The result of a product as it is, or rounded where inputs 7 and 8 say how. */
function result(b: TypedBuilder, node: Node, emit: (outputs: readonly string[]) => string): boolean {
  const isRounded = hasInput(node, 7);
  if (!isRounded) {
    emit([outputOf(node, 0)]);
    return true;
  }
  const rounding = roundingAt(b, node, 7, inputOf(node, 0));
  return rounding !== undefined && round(b, emit([b.freshName("gemm")]), rounding, node);
}

export function integerGemm(b: TypedBuilder, node: Node): boolean {
  const { a, c, bias, alpha, isTurned } = gemmOf(node);
  const turned = (name: string, isAsked: boolean): string => (isAsked ? transpose(b, name, [1, 0]) : name);
  const [left, right] = [turned(a[0], isTurned[0]), turned(c[0], isTurned[1])];
  const product = integerProduct(b, left, right, a[2], c[2]);
  const sums = bias === "" ? product : b.emit("Add", [product, bias]);
  const scales = mul(b, a[1], c[1]);
  const factor = alpha === 1 ? scales : mul(b, scales, b.scalar(alpha));
  return result(b, node, (outputs) => b.emit("Mul", [cast(b, sums, "float32"), factor], { outputs }));
}

export function realGemm(b: TypedBuilder, node: Node): boolean {
  const { a, c, bias, alpha, isTurned } = gemmOf(node);
  const [ofData, ofWeights] = [a[1], c[1]].map((name) => b.constantTensor(name));
  if (bias !== "" && (ofData?.dims.includes(0) !== false || ofWeights === undefined)) return false;
  const inputs = [real(b, a), real(b, c, isTurned[1] ? 0 : 1)];
  if (bias !== "" && ofData !== undefined && ofWeights !== undefined) {
    const scale = at(numericData(ofData), 0);
    const rank = b.types.get(bias)?.shape?.length;
    const scales = numericData(ofWeights).map((each) => Math.fround(scale * each) * alpha);
    const unit = b.constant(`${bias}_scale`, float32Tensor(ofWeights.dims, scales));
    const axis = elementCount(ofWeights.dims) > 1 ? (rank === undefined ? -1 : rank - 1) : 0;
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
export function matMulToFloat(b: TypedBuilder, node: Node): boolean {
  const [left, right, scale, otherScale] = inputsOf(node, 4);
  const [zero, otherZero, bias] = firstOf(
    [4, 5, 6].map((index) => inputOrOmitted(node, index)),
    3,
  );
  const sums = integerProduct(b, left, right, zero, otherZero);
  return scaledSums(b, sums, [scale, otherScale], bias, outputOf(node, 0));
}

/** Inputs: a matrix of real numbers, one of integers with its scale and zero point, a bias. */
export function dynamicMatMul(b: TypedBuilder, node: Node): boolean {
  const [x, right, otherScale] = inputsOf(node, 3);
  const [otherZero, bias] = [inputOrOmitted(node, 3), inputOrOmitted(node, 4)];
  const outputs = ["integers", "scale", "zero_point"].map((stem) => b.freshName(`${x}_${stem}`));
  const [integers, scale, zero] = firstOf(outputs, 3);
  b.emit("DynamicQuantizeLinear", [x], { outputs });
  const sums = integerProduct(b, integers, right, zero, otherZero);
  return scaledSums(b, sums, [scale, otherScale], bias, outputOf(node, 0));
}
