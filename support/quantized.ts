import type { Tensor } from "../src/graph/types.js";
import { randomSource } from "./opcase.js";

export type ByteType = "int8" | "uint8";

/** A tensor of bytes. */
export function bytesTensor(type: ByteType, dims: readonly number[], values: readonly number[]): Tensor {
  return { type, dims, bytes: Uint8Array.from(values, (value) => value & 0xff) };
}

/** Random integers from `low` to `high`. ONNX Runtime's sums of int8 products saturate on some machines beyond 7 bits. */
export function randomBytes(
  type: ByteType,
  dims: readonly number[],
  [low, high]: readonly [number, number],
  seed: number,
): Tensor {
  const next = randomSource(seed);
  const count = dims.reduce((product, dim) => product * dim, 1);
  return bytesTensor(
    type,
    dims,
    Array.from({ length: count }, () => Math.round(low + (high - low) * next())),
  );
}

/** int32 numbers. */
export function int32Tensor(dims: readonly number[], values: readonly number[]): Tensor {
  return { type: "int32", dims, bytes: new Uint8Array(Int32Array.from(values).buffer) };
}
