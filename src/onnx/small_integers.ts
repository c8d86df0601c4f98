import { fromBinary } from "@bufbuild/protobuf";
import { present } from "../graph/at.js";
import { elementCount } from "../graph/tensor.js";
import type { Tensor } from "../graph/types.js";
import { TensorProtoSchema } from "./gen/onnx_pb.js";
import { tensorError } from "./tensors.js";

const BITS = 4;
const PER_BYTE = 8 / BITS;

/** TensorProto.DataType of integers of 4 bits, and the type that holds the same numbers, one in a byte. */
const wideTypes: ReadonlyMap<number, "int8" | "uint8"> = new Map([
  [21, "uint8"],
  [22, "int8"],
]);

/**
 * Integers of 4 bits, of which files pack two to a byte, the first in the lower bits, as integers of 8 bits; undefined
 * for tensors of other types.
 * @throws PenniError "bad-model" if there are more or fewer of them than the dimensions say
 */
export function widenedIntegers(tensor: Tensor): Tensor | undefined {
  if (tensor.type !== "other") return undefined;
  const proto = fromBinary(TensorProtoSchema, tensor.bytes);
  const type = wideTypes.get(proto.dataType);
  if (type === undefined) return undefined;
  const count = elementCount(tensor.dims);
  const packed = proto.rawData.byteLength > 0 ? proto.rawData : Uint8Array.from(proto.int32Data);
  if (packed.byteLength !== Math.ceil(count / PER_BYTE)) {
    throw tensorError(
      proto.name,
      "has the wrong amount of data",
      `${Math.ceil(count / PER_BYTE)} bytes for ${count} integers of ${BITS} bits`,
      `${packed.byteLength}`,
    );
  }
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at++) {
    const bits = (present(packed[at >> 1]) >> (BITS * (at % PER_BYTE))) & 15;
    // The byte of -1 is 255.
    bytes[at] = type === "int8" && bits > 7 ? bits - 16 : bits;
  }
  return { type, dims: tensor.dims, bytes };
}
