import { elementBytes, elementCount } from "./tensor.js";
import type { Tensor } from "./types.js";

/** The tensor restricted to `indices` along `axis` (NumPy's `take`), as a copy; any element type of fixed size. */
export function selectAxis(tensor: Tensor, axis: number, indices: readonly number[]): Tensor {
  const extent = tensor.dims[axis] ?? 1;
  const outer = elementCount(tensor.dims.slice(0, axis));
  const block = elementCount(tensor.dims.slice(axis + 1)) * elementBytes[tensor.type];
  const bytes = new Uint8Array(outer * indices.length * block);
  for (let row = 0; row < outer; row++) {
    indices.forEach((index, position) => {
      const from = (row * extent + index) * block;
      bytes.set(tensor.bytes.subarray(from, from + block), (row * indices.length + position) * block);
    });
  }
  const dims = tensor.dims.map((dim, at) => (at === axis ? indices.length : dim));
  return { type: tensor.type, dims, bytes };
}
