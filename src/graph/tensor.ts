import { bfloat16Bits, bfloat16ToNumber } from "./bfloat16.js";
import { PenniError } from "./errors.js";
import { halfToNumber } from "./float16.js";
import type { ElementType, Shape, Tensor } from "./types.js";

/** Bytes of one element; 0 for types that have no fixed size. */
export const elementBytes: Readonly<Record<ElementType, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  bool: 1,
  string: 0,
  other: 0,
};

/** Number of elements; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** As many axes as NumPy allows; no network comes near. */
const LARGEST_RANK = 64;

/**
 * Whether a tensor can have this shape: not too many axes, sizes that are exact integers from 0 on, and so many
 * elements that they can be counted exactly. Files may claim anything else.
 */
export function isPossibleShape(shape: Shape): boolean {
  const sizes = shape.filter((dim) => typeof dim === "number");
  const areSizes = sizes.every((size) => Number.isSafeInteger(size) && size >= 0);
  return shape.length <= LARGEST_RANK && areSizes && elementCount(sizes) <= Number.MAX_SAFE_INTEGER;
}

/** An aligned buffer with the bytes of a tensor: the tensor's own memory where its alignment allows. */
function alignedBuffer(tensor: Tensor, alignment: number): { buffer: ArrayBufferLike; offset: number } {
  const { bytes } = tensor;
  if (bytes.byteOffset % alignment === 0) return { buffer: bytes.buffer, offset: bytes.byteOffset };
  const copy = bytes.slice();
  return { buffer: copy.buffer, offset: copy.byteOffset };
}

function expectType(tensor: Tensor, allowed: readonly ElementType[]): void {
  if (allowed.includes(tensor.type)) return;
  throw new PenniError("bad-model", "a tensor has the wrong element type", {
    expected: allowed.join(" or "),
    found: tensor.type,
  });
}

/** The elements of a float32 tensor. The result may share memory with the tensor: do not write to it. */
export function float32Data(tensor: Tensor): Float32Array {
  expectType(tensor, ["float32"]);
  const { buffer, offset } = alignedBuffer(tensor, 4);
  return new Float32Array(buffer, offset, tensor.bytes.byteLength / 4);
}

export function countNonZeros(data: Float32Array): number {
  let count = 0;
  for (const value of data) if (value !== 0) count += 1;
  return count;
}

/** The elements of an int64 tensor. The result may share memory with the tensor: do not write to it. */
export function int64Data(tensor: Tensor): BigInt64Array {
  expectType(tensor, ["int64"]);
  const { buffer, offset } = alignedBuffer(tensor, 8);
  return new BigInt64Array(buffer, offset, tensor.bytes.byteLength / 8);
}

type NumericReader = (view: DataView, byteOffset: number) => number;

const numericReaders: Readonly<Partial<Record<ElementType, NumericReader>>> = {
  float32: (view, at) => view.getFloat32(at, true),
  float64: (view, at) => view.getFloat64(at, true),
  float16: (view, at) => halfToNumber(view.getUint16(at, true)),
  bfloat16: (view, at) => bfloat16ToNumber(view.getUint16(at, true)),
  int8: (view, at) => view.getInt8(at),
  int16: (view, at) => view.getInt16(at, true),
  int32: (view, at) => view.getInt32(at, true),
  int64: (view, at) => Number(view.getBigInt64(at, true)),
  uint8: (view, at) => view.getUint8(at),
  uint16: (view, at) => view.getUint16(at, true),
  uint32: (view, at) => view.getUint32(at, true),
  uint64: (view, at) => Number(view.getBigUint64(at, true)),
  bool: (view, at) => view.getUint8(at),
};

/** The elements of any numeric tensor as JavaScript numbers (64-bit integers beyond 2^53 are rounded). */
export function numericData(tensor: Tensor): number[] {
  const read = numericReaders[tensor.type];
  if (read === undefined) {
    throw new PenniError("unsupported", "a tensor is not numeric", { found: tensor.type });
  }
  const size = elementBytes[tensor.type];
  const view = new DataView(tensor.bytes.buffer, tensor.bytes.byteOffset, tensor.bytes.byteLength);
  const elements: number[] = [];
  for (let at = 0; at + size <= view.byteLength; at += size) elements.push(read(view, at));
  return elements;
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** A float32 tensor over (not a copy of) `data`. */
export function float32Tensor(dims: readonly number[], data: ArrayLike<number>): Tensor {
  const array = data instanceof Float32Array ? data : Float32Array.from(data);
  checkCount(dims, array.length);
  return { type: "float32", dims, bytes: bytesOf(array) };
}

/** A float32 scalar (rank 0). */
export function scalarTensor(value: number): Tensor {
  return float32Tensor([], [value]);
}

/** An int64 tensor; values beyond the int64 range saturate. */
export function int64Tensor(dims: readonly number[], data: readonly number[]): Tensor {
  checkCount(dims, data.length);
  return { type: "int64", dims, bytes: bytesOf(BigInt64Array.from(data, toInt64)) };
}

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** A number as int64, saturating; Infinity stands for "to the end" in slices. */
export function toInt64(value: number): bigint {
  if (value >= 2 ** 63) return INT64_MAX;
  if (value <= -(2 ** 63)) return INT64_MIN;
  return BigInt(Math.trunc(value));
}

const numericWriters: Readonly<Partial<Record<ElementType, (values: readonly number[]) => Uint8Array>>> = {
  float32: (values) => bytesOf(Float32Array.from(values)),
  float64: (values) => bytesOf(Float64Array.from(values)),
  bfloat16: (values) => bytesOf(Uint16Array.from(values, bfloat16Bits)),
  int32: (values) => bytesOf(Int32Array.from(values)),
  int64: (values) => bytesOf(BigInt64Array.from(values, toInt64)),
  int8: (values) => bytesOf(Int8Array.from(values)),
  int16: (values) => bytesOf(Int16Array.from(values)),
  uint8: (values) => Uint8Array.from(values),
  uint16: (values) => bytesOf(Uint16Array.from(values)),
  uint32: (values) => bytesOf(Uint32Array.from(values)),
  bool: (values) => Uint8Array.from(values, (value) => (value === 0 ? 0 : 1)),
};

/** A tensor of the given element type from JavaScript numbers, or undefined if it cannot be written in that type. */
export function numericTensor(
  type: ElementType,
  dims: readonly number[],
  values: readonly number[],
): Tensor | undefined {
  checkCount(dims, values.length);
  const write = numericWriters[type];
  const isWritable = type.startsWith("float") || values.every(Number.isFinite);
  return write === undefined || !isWritable ? undefined : { type, dims, bytes: write(values) };
}

function checkCount(dims: readonly number[], found: number): void {
  const expected = elementCount(dims);
  if (expected === found) return;
  throw new PenniError(
    "internal",
    `a tensor of shape [${dims.join(", ")}] has the wrong number of elements`,
    {
      expected: `${expected}`,
      found: `${found}`,
    },
  );
}
