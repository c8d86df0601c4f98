import { floatAttribute } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { ofInput } from "../../graph/operands.js";
import { numericData } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import type { Handling } from "../core/definition.js";
import { integerRange, quantizedType } from "../families/quantization.js";
import { findOp } from "../inference/registry.js";
import { integersOf } from "./quantized_constants.js";

/** The least and the largest real number that the integers of a quantized value stand for. */
export interface RealBounds {
  readonly low: number;
  readonly high: number;
}

/**
 * The bounds by scale and zero point, where these are single constants; without bounds where they are constants for each
 * channel; undefined where they are computed, not positive, or of a type that Penni does not know.
 */
export function boundsOfIntegers(
  node: Node,
  scale: Tensor | undefined,
  zeroPoint: Tensor | undefined,
): RealBounds | undefined {
  const scales = integersOf(scale)?.values;
  const points = zeroPoint === undefined ? [0] : integersOf(zeroPoint)?.values;
  if (scales === undefined || points === undefined) return undefined;
  const [factor] = scales;
  const [point] = points;
  const range = rangeOf(node, zeroPoint);
  if (range === undefined || factor === undefined || point === undefined) return undefined;
  // A scale below 0 turns maxima into minima.
  if (!scales.every((each) => each > 0)) return undefined;
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

/** Whether all numbers that a node gives are 0 or more. */
export function isNeverNegative(
  node: Node,
  known: ReadonlySet<string>,
  initializers: ReadonlyMap<string, Tensor>,
): boolean {
  const definition = findOp(node);
  if (definition?.neverNegative === true) return true;
  if (node.op === "Clip") {
    const least = ofInput(initializers, node, 1);
    const low = floatAttribute(node, "min") ?? (least && numericData(least)[0]);
    return low !== undefined && low >= 0;
  }
  if (definition?.elements === undefined || !keepsSign[definition.elements]) return false;
  const sources = node.op === "Concat" ? node.inputs : node.inputs.slice(0, 1);
  return sources.every((name) => known.has(name));
}

/** Whether what is handled so gives nothing below 0 where it is given nothing below 0. */
const keepsSign: Readonly<Record<Handling, boolean>> = {
  kept: true,
  reshaped: true,
  moved: true,
  padded: false,
  converted: false,
  picked: true,
  averaged: true,
  interpolated: false,
};
