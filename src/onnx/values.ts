import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { isPossibleShape } from "../graph/tensor.js";
import type { Dim, ValueInfo, ValueType } from "../graph/types.js";
import { elementCode, elementTypeOf } from "./elements.js";
import {
  type TensorShapeProto,
  type TypeProto,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./gen/onnx_pb.js";
import { describeDims } from "./tensors.js";

function decodeDim(dim: TensorShapeProto["dim"][number]): Dim {
  if (dim.value.case === "dimParam") return dim.value.value === "" ? undefined : dim.value.value;
  // Exporters write -1 for "unknown".
  if (dim.value.case === undefined || dim.value.value < 0n) return undefined;
  return Number(dim.value.value);
}

/** The type of a tensor value; undefined for sequences, maps and the like. */
function decodeType(type: TypeProto | undefined, value: string): ValueType | undefined {
  if (type?.value.case !== "tensorType") return undefined;
  const { elemType, shape } = type.value.value;
  const dims = shape?.dim.map(decodeDim);
  if (dims === undefined || isPossibleShape(dims))
    return { elementType: elementTypeOf(elemType), shape: dims };
  throw new PenniError("bad-model", `value "${value}" has an impossible shape`, {
    found: describeDims(dims.map((dim) => dim ?? "?")),
  });
}

function encodeDim(dim: Dim) {
  if (typeof dim === "number") return { value: { case: "dimValue" as const, value: BigInt(dim) } };
  return dim === undefined ? {} : { value: { case: "dimParam" as const, value: dim } };
}

function encodeType(type: ValueType): TypeProto {
  return create(TypeProtoSchema, {
    value: {
      case: "tensorType",
      value: {
        elemType: orDefault(elementCode(type.elementType), 0),
        ...(type.shape === undefined ? {} : { shape: { dim: type.shape.map(encodeDim) } }),
      },
    },
  });
}

function sameType(a: ValueType | undefined, b: ValueType | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.elementType !== b.elementType) return false;
  if (a.shape === undefined || b.shape === undefined) return a.shape === b.shape;
  return a.shape.length === b.shape.length && a.shape.every((dim, axis) => dim === b.shape?.[axis]);
}

function plainInfo(name: string, type: ValueType | undefined): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name, ...(type === undefined ? {} : { type: encodeType(type) }) });
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/**
 * A value's declaration. `extra` is the encoded message, kept only where name and type do not say it all.
 * @throws PenniError "bad-model" for a shape that no tensor can have.
 */
export function decodeValueInfo(proto: ValueInfoProto): ValueInfo {
  const { name } = proto;
  const type = decodeType(proto.type, name);
  const extra = toBinary(ValueInfoProtoSchema, proto);
  const complete = sameBytes(extra, toBinary(ValueInfoProtoSchema, plainInfo(name, type)));
  return complete ? { name, type } : { name, type, extra };
}

/** The message of a declaration; what the file said beyond name and type is kept while the type stands. */
export function encodeValueInfo(info: ValueInfo): ValueInfoProto {
  const { name, type, extra } = info;
  if (!(extra instanceof Uint8Array)) return plainInfo(name, type);
  const proto = fromBinary(ValueInfoProtoSchema, extra);
  proto.name = name;
  if (type !== undefined && !sameType(decodeType(proto.type, name), type)) proto.type = encodeType(type);
  return proto;
}
