import { fromBinary } from "@bufbuild/protobuf";
import { elementCount } from "../graph/tensor.js";
import type { Tensor } from "../graph/types.js";
import { TensorProtoSchema } from "./gen/onnx_pb.js";
import { tensorError } from "./tensors.js";
import { unpackedBits } from "./unpacked_bits.js";

const BYTE = 8;

/** Integers that share a byte with others. */
interface Packing {
  /** The type that holds the same numbers, one in a byte. */
  readonly wide: "int8" | "uint8";
  readonly bits: number;
}

/** By TensorProto.DataType: UINT4, INT4, UINT2, INT2. */
const packings: ReadonlyMap<number, Packing> = new Map([
  [21, { wide: "uint8", bits: 4 }],
  [22, { wide: "int8", bits: 4 }],
  [25, { wide: "uint8", bits: 2 }],
  [26, { wide: "int8", bits: 2 }],
]);

/**
 * Integers of 4 or 2 bits, of which files pack two or four to a byte, the first in the lowest bits, as integers of 8 bits;
 * undefined for tensors of other types.
 * @throws PenniError "bad-model" if there are more or fewer of them than the dimensions say
 */
export function widenedIntegers(tensor: Tensor): Tensor | undefined {
  if (tensor.type !== "other") return undefined;
  const proto = fromBinary(TensorProtoSchema, tensor.bytes);
  const packing = packings.get(proto.dataType);
  if (packing === undefined) return undefined;
  const { wide, bits } = packing;
  const count = elementCount(tensor.dims);
  const packed = proto.rawData.byteLength > 0 ? proto.rawData : Uint8Array.from(proto.int32Data);
  const expected = Math.ceil((count * bits) / BYTE);
  if (packed.byteLength !== expected) {
    throw tensorError(
      proto.name,
      "has the wrong amount of data",
      `${expected} bytes for ${count} integers of ${bits} bits`,
      `${packed.byteLength}`,
    );
  }
  const numbers = unpackedBits(packed, count, bits);
  if (wide === "uint8") return { type: wide, dims: tensor.dims, bytes: numbers };
  // The byte of -1 is 255.
  const signed = numbers.map((value) => (value >= 2 ** (bits - 1) ? value - 2 ** bits : value));
  return { type: wide, dims: tensor.dims, bytes: signed };
}
