import { create } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "../gen/onnx_pb.js";

// int8 tensors most of whose elements are zero. Sparse initializers spend two to four bytes on each position; here the
// places of the others are bits, or distances of one byte, and a function of the model, which any runtime computes once
// when it loads the file, puts the values there.

/** Domain of the functions that unpack. */
export const PACKED_DOMAIN = "penni.packed";
export const BITS = "Bits";
export const GAPS = "Gaps";
/** Makes the values, where these take fewer than 8 bits each. */
export const NUMBERS = "Numbers";

/** ONNX's numbers of the types that there are. */
export const codes = { uint8: 2, int8: 3, int32: 6 } as const;

export const tensorOf = (
  name: string,
  dims: readonly number[],
  type: keyof typeof codes,
  bytes: Uint8Array,
): TensorProto =>
  create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: codes[type], rawData: bytes });

export function integers(name: string, values: readonly number[]): AttributeProto {
  const type = AttributeProto_AttributeType.INTS;
  return create(AttributeProtoSchema, { name, type, ints: values.map(BigInt) });
}

export const integer = (name: string, value: number): AttributeProto =>
  create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
