import { inputOf, outputOf, present } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import { inputOrOmitted } from "../../graph/operands.js";
import { numericTensor } from "../../graph/tensor.js";
import type { ElementType, Node } from "../../graph/types.js";
import type { TypedBuilder } from "../inference/builder.js";

// What the rules for operators on quantized numbers have in common.

/** Writes a node in standard operators; false where it cannot, and then it has emitted nothing but constants. */
export type Unfusing = (b: TypedBuilder, node: Node) => boolean;

/** A quantized value: the names of its integers, its scale and its zero point. */
export type Quantized = readonly [values: string, scale: string, zeroPoint: string];

/** @throws PenniError "bad-model" if the integers or their scale are omitted; the zero point may be */
export function quantizedAt(node: Node, index: number): Quantized {
  return [inputOf(node, index), inputOf(node, index + 1), inputOrOmitted(node, index + 2)];
}

export function real(b: TypedBuilder, [values, scale, zeroPoint]: Quantized, axis?: number): string {
  const attributes = axis === undefined ? {} : { axis: int(axis) };
  return b.emit("DequantizeLinear", zeroPoint === "" ? [values, scale] : [values, scale, zeroPoint], {
    attributes,
  });
}

/** What says how a result is rounded: without a zero point, the type that it shares with an operand. */
export interface Rounding {
  readonly scale: string;
  readonly zeroPoint: string;
}

/** The scale and zero point of a node's result in two of its inputs; undefined where their type is not known. */
export function roundingAt(b: TypedBuilder, node: Node, index: number, like: string): Rounding | undefined {
  const [scale, stated] = [inputOrOmitted(node, index), inputOrOmitted(node, index + 1)];
  const zeroPoint = stated === "" ? zeroOf(b, b.types.get(like)?.elementType) : stated;
  return scale === "" || zeroPoint === undefined ? undefined : { scale, zeroPoint };
}

function zeroOf(b: TypedBuilder, type: ElementType | undefined): string | undefined {
  const zero = type === undefined ? undefined : numericTensor(type, [], [0]);
  return zero === undefined ? undefined : b.constant("zero_point", zero);
}

export function round(b: TypedBuilder, x: string, { scale, zeroPoint }: Rounding, node: Node): true {
  b.emit("QuantizeLinear", [x, scale, zeroPoint], { outputs: [outputOf(node, 0)] });
  return true;
}

/** The rank of a value whose shape is known. @throws PenniError "internal" if it is not */
export const rankOf = (b: TypedBuilder, x: string): number =>
  present(b.types.get(x)?.shape, "the shape of a quantized value").length;
