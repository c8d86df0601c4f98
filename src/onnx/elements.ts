import type { ElementType } from "../graph/types.js";
import type { TensorProto } from "./gen/onnx_pb.js";

type TypedElements =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

interface ElementFormat {
  readonly type: ElementType;
  /** Elements from the typed field that the ONNX standard assigns to this type, in place of raw data. */
  readonly typed: (proto: TensorProto) => TypedElements;
}

/** TensorProto.DataType of strings. */
export const STRING_CODE = 8;

/** Numeric types by TensorProto.DataType; half types keep their bits in int32_data. */
const formats: ReadonlyMap<number, ElementFormat> = new Map([
  [1, { type: "float32", typed: (proto) => Float32Array.from(proto.floatData) }],
  [2, { type: "uint8", typed: (proto) => Uint8Array.from(proto.int32Data) }],
  [3, { type: "int8", typed: (proto) => Int8Array.from(proto.int32Data) }],
  [4, { type: "uint16", typed: (proto) => Uint16Array.from(proto.int32Data) }],
  [5, { type: "int16", typed: (proto) => Int16Array.from(proto.int32Data) }],
  [6, { type: "int32", typed: (proto) => Int32Array.from(proto.int32Data) }],
  [7, { type: "int64", typed: (proto) => BigInt64Array.from(proto.int64Data) }],
  [9, { type: "bool", typed: (proto) => Uint8Array.from(proto.int32Data) }],
  [10, { type: "float16", typed: (proto) => Uint16Array.from(proto.int32Data) }],
  [11, { type: "float64", typed: (proto) => Float64Array.from(proto.doubleData) }],
  [12, { type: "uint32", typed: (proto) => Uint32Array.from(proto.uint64Data, Number) }],
  [13, { type: "uint64", typed: (proto) => BigUint64Array.from(proto.uint64Data) }],
  [16, { type: "bfloat16", typed: (proto) => Uint16Array.from(proto.int32Data) }],
] satisfies [number, ElementFormat][]);

const codes: ReadonlyMap<ElementType, number> = new Map([
  ["string", STRING_CODE],
  ...[...formats].map(([code, { type }]) => [type, code] as const),
]);

/** How a numeric type is stored; undefined for strings and types that Penni does not know. */
export function elementFormat(code: number): ElementFormat | undefined {
  return formats.get(code);
}

/** The element type of a TensorProto.DataType; "other" where Penni does not know it. */
export function elementTypeOf(code: number): ElementType {
  return code === STRING_CODE ? "string" : (formats.get(code)?.type ?? "other");
}

/** The TensorProto.DataType of an element type; undefined for "other". */
export function elementCode(type: ElementType): number | undefined {
  return codes.get(type);
}
