import { create, toBinary } from "@bufbuild/protobuf";
import { orDefault, present } from "../graph/at.js";
import { elementBytes, numericData } from "../graph/tensor.js";
import type { Tensor } from "../graph/types.js";
import {
  type SparseTensorProto,
  SparseTensorProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "./gen/onnx_pb.js";
import { checkedDims, decodeTensor, describeDims, type ExternalReader, tensorError } from "./tensors.js";

/** TensorProto.DataType code of the indices of a sparse tensor. */
const INT64_CODE = 7;
/** The least that an index costs. */
const SMALLEST_INDEX_BYTES = 1;

const INDEX_TYPES: readonly string[] = ["int64", "int32", "int16", "int8"];

/** Row-major linear positions from linear ([nnz]) or coordinate ([nnz, rank]) indices, checked. */
function linearIndices(name: string, indices: Tensor, dims: readonly number[], nonzeros: number): number[] {
  if (!INDEX_TYPES.includes(indices.type)) {
    throw tensorError(name, "has sparse indices of the wrong type", "int64", indices.type);
  }
  const values = numericData(indices);
  const [rows, columns] = indices.dims;
  if (indices.dims.length === 1 && rows === nonzeros) return values;
  if (indices.dims.length !== 2 || rows !== nonzeros || columns !== dims.length) {
    throw tensorError(
      name,
      "has sparse indices of the wrong shape",
      `[${nonzeros}] or [${nonzeros}, ${dims.length}]`,
      describeDims(indices.dims),
    );
  }
  return Array.from({ length: nonzeros }, (_, row) =>
    dims.reduce((position, size, axis) => {
      const coordinate = present(values[row * columns + axis]);
      if (coordinate >= 0 && coordinate < size) return position * size + coordinate;
      throw tensorError(name, "has a sparse index out of range", `0 to ${size - 1}`, `${coordinate}`);
    }, 0),
  );
}

function scatter(name: string, values: Tensor, positions: readonly number[], out: Uint8Array): void {
  const size = elementBytes[values.type];
  const count = out.byteLength / size;
  let previous = -1;
  positions.forEach((position, row) => {
    if (position <= previous || position >= count) {
      throw tensorError(
        name,
        "has sparse indices that are out of range or not ascending",
        `${previous + 1} to ${count - 1}`,
        `${position}`,
      );
    }
    previous = position;
    for (let byte = 0; byte < size; byte++)
      out[position * size + byte] = present(values.bytes[row * size + byte]);
  });
}

/** Name of a sparse initializer: the standard keeps it in the values. */
export function sparseName(proto: SparseTensorProto): string {
  return orDefault(proto.values?.name, "");
}

/**
 * The dense form of a sparse tensor.
 * @param allowance largest number of bytes that the dense form may take.
 * @throws PenniError "bad-model" if its parts contradict each other or the dense form is too large.
 */
export function densify(proto: SparseTensorProto, allowance: number, read?: ExternalReader): Tensor {
  const name = sparseName(proto);
  if (proto.values === undefined) throw tensorError(name, "is sparse and has no values");
  const values = decodeTensor(proto.values, read);
  const size = elementBytes[values.type];
  if (size === 0) throw tensorError(name, "is sparse with elements of no fixed size", "numbers", values.type);
  const [nonzeros] = values.dims;
  if (nonzeros === undefined || values.dims.length !== 1) {
    throw tensorError(name, "has sparse values of the wrong rank", "1", `${values.dims.length}`);
  }
  const { dims, count } = checkedDims(name, proto.dims);
  if (count * size > allowance) {
    throw tensorError(name, "is too large when not sparse", `at most ${allowance} bytes`, `${count * size}`);
  }
  const indices = decodeTensor(
    proto.indices ?? create(TensorProtoSchema, { dims: [0n], dataType: INT64_CODE }),
    read,
  );
  const positions = linearIndices(name, indices, dims, nonzeros);
  const bytes = new Uint8Array(count * size);
  scatter(name, values, positions, bytes);
  return { type: values.type, dims, bytes };
}

/** Unsigned integers that are as wide as the elements of the types that may be stored sparse. */
const BITS = { float32: Uint32Array, float16: Uint16Array } as const;

function isSparseType(type: string): type is keyof typeof BITS {
  return Object.hasOwn(BITS, type);
}

/** The bits of a tensor's elements: only +0.0, all bits zero, may be left out of a sparse form. */
function elementBits({ bytes }: Tensor, type: keyof typeof BITS): Uint32Array | Uint16Array {
  const size = elementBytes[type];
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const { buffer, byteOffset, byteLength } = aligned;
  return type === "float32"
    ? new Uint32Array(buffer, byteOffset, byteLength / size)
    : new Uint16Array(buffer, byteOffset, byteLength / size);
}

function countNonZeros(bits: Uint32Array | Uint16Array): number {
  let count = 0;
  for (const element of bits) if (element !== 0) count += 1;
  return count;
}

/**
 * The sparse form of a float32 or float16 tensor (values as raw data, linear int64 indices as packed varints of one to
 * a few bytes each), or undefined where it would not be smaller than `dense`, the encoded dense form.
 */
export function sparsify(name: string, tensor: Tensor, dense: TensorProto): SparseTensorProto | undefined {
  const { type } = tensor;
  if (!isSparseType(type) || tensor.dims.length === 0) return undefined;
  const bits = elementBits(tensor, type);
  const nonzeros = countNonZeros(bits);
  if (nonzeros * (elementBytes[type] + SMALLEST_INDEX_BYTES) >= tensor.bytes.byteLength) return undefined;

  const values = new BITS[type](nonzeros);
  const positions: bigint[] = [];
  bits.forEach((element, position) => {
    if (element === 0) return;
    values[positions.length] = element;
    positions.push(BigInt(position));
  });
  const dims = [BigInt(nonzeros)];
  const sparse = create(SparseTensorProtoSchema, {
    dims: tensor.dims.map(BigInt),
    values: { name, dims, dataType: dense.dataType, rawData: new Uint8Array(values.buffer) },
    indices: { dims, dataType: INT64_CODE, int64Data: positions },
  });
  const smaller =
    toBinary(SparseTensorProtoSchema, sparse).length < toBinary(TensorProtoSchema, dense).length;
  return smaller ? sparse : undefined;
}
