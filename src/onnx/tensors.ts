import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { elementBytes, elementCount, isPossibleShape } from "../graph/tensor.js";
import type { Tensor } from "../graph/types.js";
import { elementCode, elementFormat, STRING_CODE } from "./elements.js";
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from "./gen/onnx_pb.js";

/** A file of external data. */
export interface ExternalData {
  readonly byteLength: number;
  /** Bytes of the file, all of which must be there: a window into it, or a copy. */
  read(offset: number, length: number): Uint8Array;
}

/** The file of external data at a location as written in the model. */
export type ExternalReader = (location: string) => ExternalData;

/** The error for a tensor that contradicts itself or the file. */
export function tensorError(name: string, problem: string, expected?: string, found?: string): PenniError {
  return new PenniError("bad-model", `tensor "${name}" ${problem}`, {
    ...(expected === undefined ? {} : { expected }),
    ...(found === undefined ? {} : { found }),
    advice: "The file is damaged or was not written by an ONNX exporter: export it again",
  });
}

/** Dimensions for messages, shortened. */
export function describeDims(dims: readonly (number | bigint | string)[]): string {
  return `[${dims.slice(0, 8).join(", ")}${dims.length > 8 ? ", ..." : ""}]`;
}

/**
 * Dimensions as numbers and their product.
 * @throws PenniError "bad-model" if no tensor can have them (`isPossibleShape`).
 */
export function checkedDims(name: string, dims: readonly bigint[]): { dims: number[]; count: number } {
  const sizes = dims.map(Number);
  if (isPossibleShape(sizes)) return { dims: sizes, count: elementCount(sizes) };
  throw tensorError(name, "has impossible dimensions", "sizes from 0 on", describeDims(dims));
}

/** Value of an external_data entry that holds a number of bytes. */
function byteCount(name: string, entries: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = entries.get(key);
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw tensorError(name, `has a bad ${key} of external data`, "a number of bytes", `"${text.slice(0, 40)}"`);
}

/** The bytes that an external tensor refers to, as a window; `expected` bytes where no length is given. */
function externalBytes(proto: TensorProto, read: ExternalReader | undefined, expected?: number): Uint8Array {
  const { name } = proto;
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get("location");
  if (location === undefined || location === "") throw tensorError(name, "does not say where its data is");
  if (read === undefined) {
    throw new PenniError("bad-model", `tensor "${name}" is stored in another file, "${location}"`, {
      advice: "Read the model from its directory, with that file beside it",
    });
  }
  const offset = orDefault(byteCount(name, entries, "offset"), 0);
  const file = read(location);
  const length = byteCount(name, entries, "length") ?? expected ?? Math.max(0, file.byteLength - offset);
  if (offset + length > file.byteLength) {
    throw tensorError(
      name,
      `reaches beyond the end of its data file "${location}"`,
      `${offset + length} bytes`,
      `${file.byteLength}`,
    );
  }
  return file.read(offset, length);
}

/** Moves external data into the message itself. */
export function inlineExternal(
  proto: TensorProto,
  read: ExternalReader | undefined,
  expected?: number,
): void {
  if (proto.dataLocation !== TensorProto_DataLocation.EXTERNAL) return;
  proto.rawData = externalBytes(proto, read, expected);
  proto.externalData = [];
  proto.dataLocation = TensorProto_DataLocation.DEFAULT;
}

function stringTensor(proto: TensorProto, dims: readonly number[], count: number): Tensor {
  if (proto.stringData.length !== count) {
    throw tensorError(
      proto.name,
      "has the wrong number of strings",
      `${count}`,
      `${proto.stringData.length}`,
    );
  }
  return { type: "string", dims, bytes: new Uint8Array(0), strings: proto.stringData };
}

/** Element types that Penni does not know travel as the encoded message itself in `bytes`. */
function otherTensor(proto: TensorProto, dims: readonly number[], read?: ExternalReader): Tensor {
  inlineExternal(proto, read);
  return { type: "other", dims, bytes: toBinary(TensorProtoSchema, proto) };
}

/**
 * A tensor over the message's own bytes wherever it holds raw data (no copy).
 * @throws PenniError "bad-model" if dimensions, element type and data contradict each other.
 */
export function decodeTensor(proto: TensorProto, read?: ExternalReader): Tensor {
  const { name, dataType } = proto;
  const { dims, count } = checkedDims(name, proto.dims);
  if (dataType === 0) throw tensorError(name, "has no element type");
  if (dataType === STRING_CODE) return stringTensor(proto, dims, count);
  const format = elementFormat(dataType);
  if (format === undefined) return otherTensor(proto, dims, read);

  const { type } = format;
  const size = count * elementBytes[type];
  inlineExternal(proto, read, size);
  if (proto.rawData.byteLength === 0) {
    const elements = format.typed(proto);
    if (elements.length !== count) {
      throw tensorError(
        name,
        "has the wrong number of elements",
        `${count} for ${type} ${describeDims(dims)}`,
        `${elements.length}`,
      );
    }
    return {
      type,
      dims,
      bytes: new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength),
    };
  }
  if (proto.rawData.byteLength !== size) {
    throw tensorError(
      name,
      "has the wrong amount of data",
      `${size} bytes for ${type} ${describeDims(dims)}`,
      `${proto.rawData.byteLength}`,
    );
  }
  return { type, dims, bytes: proto.rawData };
}

/** A message that holds the tensor as raw data (strings: as string_data) and refers to the tensor's bytes. */
export function encodeTensor(name: string, tensor: Tensor): TensorProto {
  if (tensor.type === "other") {
    const proto = fromBinary(TensorProtoSchema, tensor.bytes);
    proto.name = name;
    return proto;
  }
  const proto = create(TensorProtoSchema, {
    ...(name === "" ? {} : { name }),
    dims: tensor.dims.map(BigInt),
    dataType: orDefault(elementCode(tensor.type), 0),
  });
  if (tensor.type === "string") proto.stringData = [...orDefault(tensor.strings, [])];
  else proto.rawData = tensor.bytes;
  return proto;
}
