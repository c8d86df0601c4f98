import { at, present } from "../../graph/at.js";
import { intAttributeOr } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import type { ElementType, Node } from "../../graph/types.js";
import { normalizeAxis } from "../core/arguments.js";
import { cast, elementTypeOfCode } from "../core/element_types.js";
import { add, crop, div, mul, reshape, sub } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { unsupportedForm } from "../core/unsupported_form.js";

// What quantizing and de-quantizing operators have in common. real = (integer - zero point) * scale.

const QUANTIZED =
  /^(QLinear|ConvInteger$|MatMulInteger|QuantizeLinear$|DequantizeLinear$|DynamicQuantize|QGemm$)/;

/** Whether a node, of the standard or of ONNX Runtime, computes with quantized numbers, or converts from or to them. */
export const isQuantizedOp = ({ op }: Pick<Node, "op">): boolean => QUANTIZED.test(op);

/** The integers of a quantized type. */
export interface IntegerRange {
  readonly low: number;
  readonly high: number;
}

const ranges: ReadonlyMap<ElementType, IntegerRange> = new Map([
  ["int8", { low: -128, high: 127 }],
  ["uint8", { low: 0, high: 255 }],
  ["int16", { low: -32768, high: 32767 }],
  ["uint16", { low: 0, high: 65535 }],
]);

/** @throws PenniError "unsupported" for types that Penni cannot hold, such as values of 4 bits, or float8 */
export function integerRange(node: Node, type: ElementType | undefined): IntegerRange {
  const range = type === undefined ? undefined : ranges.get(type);
  if (range !== undefined) return range;
  throw new PenniError(
    "unsupported",
    "its quantized numbers are of a type that Penni does not compute with",
    {
      node: node.name,
      op: node.op,
      expected: "integers of 8 or 16 bits, or constants of 4 or 2 bits",
      found: type === undefined || type === "other" ? "another type (float8, or values of fewer bits)" : type,
      advice: "Quantize the float32 model to 8 bits",
    },
  );
}

/** @throws PenniError as `integerRange` for numbers of which Penni does not know the type */
export function checkHeld(b: Emitter, node: Node, name: string): void {
  if (b.types.get(name)?.elementType === "other") integerRange(node, "other");
}

/** The integer type that a node quantizes to: that of its zero point, or its attribute, or uint8. */
export function quantizedType(node: Node, zeroPoint: ElementType | undefined): ElementType {
  const code = intAttributeOr(node, "output_dtype", 0);
  return zeroPoint ?? (code === 0 ? "uint8" : elementTypeOfCode(code));
}

/** A scale or zero point, so that it broadcasts to data of these dimensions: of the whole tensor, or along an axis. */
export function alongAxis(
  b: Emitter,
  node: Node,
  name: string,
  dims: readonly number[],
  stated = intAttributeOr(node, "axis", 1),
): string {
  const own = b.dims(name);
  if (own.length === 0 || (own.length === 1 && own[0] === 1))
    return own.length === 0 ? name : reshape(b, name, []);
  if (own.length === 1) {
    const axis = normalizeAxis(node, stated, dims.length);
    return reshape(
      b,
      name,
      dims.map((_, other) => (other === axis ? present(own[0]) : 1)),
    );
  }
  return inBlocks(b, node, name, dims, normalizeAxis(node, stated, dims.length));
}

/** One number for each block of some elements along an axis (operator set 21): repeated for each of them. */
function inBlocks(b: Emitter, node: Node, name: string, dims: readonly number[], axis: number): string {
  const own = b.dims(name);
  const block = intAttributeOr(node, "block_size", 0);
  const blocks = own[axis];
  const size = at(dims, axis);
  if (block <= 0 || blocks !== Math.ceil(size / block)) {
    throw unsupportedForm(
      node,
      "simpler one",
      "as many blocks as their axis has",
      `${blocks ?? "none"} of ${block} for ${size}`,
    );
  }
  const apart = reshape(b, name, own.toSpliced(axis + 1, 0, 1));
  const repeated = b.emit("Expand", [apart, b.axes(own.toSpliced(axis + 1, 0, block))]);
  const whole = reshape(b, repeated, own.with(axis, blocks * block));
  return crop(b, whole, [{ axis, end: size }]);
}

/** The integers of a value without their zero point, as float32. */
export function centred(b: Emitter, values: string, zeroPoint: string | undefined): string {
  const numbers = cast(b, values, "float32");
  return zeroPoint === undefined ? numbers : sub(b, numbers, cast(b, zeroPoint, "float32"));
}

/** Real numbers, already divided by the scale, as integers of a type: rounded half to even, shifted and saturated. */
export function asIntegers(
  b: Emitter,
  node: Node,
  scaled: string,
  zeroPoint: string | undefined,
  type: ElementType,
): string {
  const { low, high } = integerRange(node, type);
  if (type === "other") throw new Error("a range without a type");
  const rounded = b.emit("Round", [scaled]);
  const shifted = zeroPoint === undefined ? rounded : add(b, rounded, cast(b, zeroPoint, "float32"));
  const bounded = b.emit("Clip", [shifted, b.scalar(low), b.scalar(high)]);
  return cast(b, bounded, type);
}

/** What an operator on quantized numbers multiplies its sums with: (scale * scale) / scale of the result. */
export function outputFactor(b: Emitter, left: string, right: string, result: string): string {
  return div(b, mul(b, left, right), result);
}
