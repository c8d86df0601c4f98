import { int } from "../../graph/attributes.js";
import type { ElementType } from "../../graph/types.js";
import type { Emitter } from "./emitter.js";

/** ONNX's numbers for element types (`TensorProto.DataType`), as in the attribute `to` of Cast. */
const codes: Readonly<Record<Exclude<ElementType, "other">, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

const types: ReadonlyMap<number, ElementType> = new Map(
  Object.entries(codes).map(([type, code]) => [code, type as ElementType]),
);

/** The element type that ONNX numbers `code`; "other" for those Penni does not know. */
export function elementTypeOfCode(code: number): ElementType {
  return types.get(code) ?? "other";
}

const integers: readonly ElementType[] = [
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
];

/** The number by which ONNX names an element type. */
export function elementTypeCode(type: Exclude<ElementType, "other">): number {
  return codes[type];
}

export function isInteger(type: ElementType): boolean {
  return integers.includes(type);
}

export function isFloat(type: ElementType): boolean {
  return type === "float32" || type === "float64" || type === "float16" || type === "bfloat16";
}

/** Emits Cast. */
export function cast(b: Emitter, x: string, type: Exclude<ElementType, "other">): string {
  return b.emit("Cast", [x], { attributes: { to: int(codes[type]) } });
}
