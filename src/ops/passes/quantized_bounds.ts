import { floatAttribute } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { numericData } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import { integerRange, quantizedType } from "../families/quantization.js";
import { integersOf } from "./quantized_constants.js";

/** The least and the largest real number that the integers of a quantized value stand for. */
export interface RealBounds {
  readonly low: number;
  readonly high: number;
}

/**
 * The bounds by scale and zero point, where these are single constants; without bounds where they are constants for each
 * channel; undefined where they are computed or of a type that Penni does not know.
 */
export function boundsOfIntegers(
  node: Node,
  scale: Tensor | undefined,
  zeroPoint: Tensor | undefined,
): RealBounds | undefined {
  const scales = integersOf(scale)?.values;
  const points = zeroPoint === undefined ? [0] : integersOf(zeroPoint)?.values;
  if (scales === undefined || points === undefined) return undefined;
  const [factor = 1] = scales;
  const [point = 0] = points;
  const range = rangeOf(node, zeroPoint);
  if (range === undefined) return undefined;
  if (scales.length > 1 || points.length > 1)
    return { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  return { low: (range.low - point) * factor, high: (range.high - point) * factor };
}

function rangeOf(node: Node, zeroPoint: Tensor | undefined): ReturnType<typeof integerRange> | undefined {
  try {
    return integerRange(node, quantizedType(node, zeroPoint?.type));
  } catch (error) {
    if (error instanceof PenniError) return undefined;
    throw error;
  }
}

const positive: ReadonlySet<string> = new Set([
  "Abs",
  "Exp",
  "HardSigmoid",
  "Relu",
  "Sigmoid",
  "Softmax",
  "Softplus",
  "Sqrt",
]);

/** Operators that give nothing below 0 where they are given nothing below 0. */
const faithful: ReadonlySet<string> = new Set([
  "AveragePool",
  "Concat",
  "DepthToSpace",
  "Flatten",
  "Gather",
  "GlobalAveragePool",
  "GlobalMaxPool",
  "Identity",
  "MaxPool",
  "Reshape",
  "Slice",
  "SpaceToDepth",
  "Split",
  "Squeeze",
  "Transpose",
  "Unsqueeze",
]);

/** Whether all numbers that a node gives are 0 or more. */
export function isNeverNegative(
  node: Node,
  known: ReadonlySet<string>,
  initializers: ReadonlyMap<string, Tensor>,
): boolean {
  if (positive.has(node.op)) return true;
  if (node.op === "Clip") {
    const least = initializers.get(node.inputs[1] ?? "");
    return (floatAttribute(node, "min") ?? (least && numericData(least)[0]) ?? -1) >= 0;
  }
  if (!faithful.has(node.op)) return false;
  const sources = node.op === "Concat" ? node.inputs : node.inputs.slice(0, 1);
  return sources.every((name) => known.has(name));
}
