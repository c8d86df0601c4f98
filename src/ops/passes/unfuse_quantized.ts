import { inputOf, outputOf } from "../../graph/at.js";
import {
  attributesOf,
  float,
  floatAttributeOr,
  int,
  intAttribute,
  intAttributeOr,
  intsAttributeOr,
} from "../../graph/attributes.js";
import { ofInput } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";
import { normalizeAxis } from "../core/arguments.js";
import { reduceMean, transpose } from "../core/emit.js";
import type { TypedBuilder } from "../inference/builder.js";
import { quantizedAt, rankOf, real, round, roundingAt, type Unfusing } from "./quantized_operands.js";
import { dynamicMatMul, integerGemm, matMulToFloat, realGemm } from "./unfuse_quantized_products.js";
import { realLstm } from "./unfuse_quantized_recurrence.js";

/**
 * Operators on quantized numbers that ONNX Runtime's quantizer writes and the standard does not have. Those that
 * compute with real numbers inside (its tables do) are the real operator between DequantizeLinear and QuantizeLinear;
 * products are sums of integers.
 */

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
    ["QLinearReduceMean", ofOne(meanOfAxes)],
    ["NhwcMaxPool", maxPool],
    ["QGemm", products === "integers" ? integerGemm : realGemm],
    ["MatMulIntegerToFloat", matMulToFloat],
    ["DynamicQuantizeMatMul", dynamicMatMul],
    ["QuantizeLinear", standard],
    ["DequantizeLinear", standard],
    // Its data are quantized in every step: no sum of integers says what it computes.
    ...(products === "real" ? [["DynamicQuantizeLSTM", realLstm] as const] : []),
  ]);
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
    const isTyped = operand.every((name) => name === "" || b.types.has(name));
    if (rounding === undefined || !isTyped || b.types.get(operand[0])?.shape === undefined) return false;
    const result = form(b, real(b, operand), node);
    return result !== undefined && round(b, result, rounding, node);
  };
}

const leakyRelu: RealForm = (b, x, node) =>
  b.emit("LeakyRelu", [x], { attributes: { alpha: float(floatAttributeOr(node, "alpha", 0.01)) } });

/** Its attribute `opset` says whether axes behind the stated one count as well, as they did before operator set 13. */
const softmax: RealForm = (b, x, node) => {
  const axis = normalizeAxis(node, intAttributeOr(node, "axis", -1), rankOf(b, x));
  const isSameMeaning = intAttributeOr(node, "opset", 13) < 13 === b.opset < 13;
  if (!isSameMeaning && axis !== rankOf(b, x) - 1) return undefined;
  return b.emit("Softmax", [x], { attributes: { axis: int(axis) } });
};

const AVERAGE_POOL = ["auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"];

const averagePool: RealForm = (b, x, node) =>
  b.emit("AveragePool", [x], { attributes: attributesOf(node, AVERAGE_POOL) });

/** Attributes as before operator set 18: all axes where none are stated. */
const meanOfAxes: RealForm = (b, x, node) => {
  const rank = rankOf(b, x);
  const axes = intsAttributeOr(
    node,
    "axes",
    Array.from({ length: rank }, (_, axis) => axis),
  );
  const counted = axes.map((axis) => normalizeAxis(node, axis, rank));
  return reduceMean(b, x, counted, intAttributeOr(node, "keepdims", 1) === 1);
};

const areChannelsLast = (node: Node): boolean => intAttribute(node, "channels_last") === 1;

/** The form of a node whose channels may come last. */
function channelsLast(form: RealForm): RealForm {
  return (b, x, node) => {
    if (!areChannelsLast(node)) return form(b, x, node);
    const result = form(b, channelsFirst(b, x), node);
    return result === undefined ? undefined : lastAgain(b, result, rankOf(b, x));
  };
}

function channelsFirst(b: TypedBuilder, x: string): string {
  const rank = rankOf(b, x);
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return transpose(b, x, [0, rank - 1, ...axes.slice(1, -1)]);
}

function lastAgain(b: TypedBuilder, x: string, rank: number, y?: string): string {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
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
  const [first] = parts;
  const rounding = first && roundingAt(b, node, 0, first[0]);
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
  const condition = inputOf(node, 0);
  return round(b, b.emit("Where", [condition, real(b, chosen), real(b, other)]), rounding, node);
}

/** The standard's QLinearConv, but that its data may have the channels last. */
function convolution(b: TypedBuilder, node: Node): boolean {
  const x = inputOf(node, 0);
  const others = node.inputs.slice(1);
  const attributes = attributesOf(node, [
    ...["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
  ]);
  const y = outputOf(node, 0);
  if (!areChannelsLast(node)) {
    b.emit("QLinearConv", node.inputs, { outputs: [y], attributes });
    return true;
  }
  if (b.types.get(x)?.shape === undefined) return false;
  lastAgain(b, b.emit("QLinearConv", [channelsFirst(b, x), ...others], { attributes }), rankOf(b, x), y);
  return true;
}

const MAX_POOL = ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"];

/** MaxPool of integers whose channels come last. */
function maxPool(b: TypedBuilder, node: Node): boolean {
  const x = inputOf(node, 0);
  if (b.types.get(x)?.shape === undefined) return false;
  const pooled = b.emit("MaxPool", [channelsFirst(b, x)], { attributes: attributesOf(node, MAX_POOL) });
  lastAgain(b, pooled, rankOf(b, x), outputOf(node, 0));
  return true;
}

/** Conversions that the standard has too, in every operator set for integers of 8 bits and sums. */
function standard(b: TypedBuilder, node: Node): boolean {
  const types = [0, 2].map((index) => ofInput(b.types, node, index)?.elementType);
  if (!types.some((type) => type === "int8" || type === "uint8" || type === "int32")) return false;
  b.append({ ...node, domain: "" });
  return true;
}
