import { at } from "./at.js";
import { elementBytes, elementCount } from "./tensor.js";
import type { Tensor } from "./types.js";

/** Which indices of each axis stay; undefined (or past the end) for an axis that stays whole. */
export type Selection = readonly (readonly number[] | undefined)[];

/** These indices along one axis, everything along the others. */
export function alongAxis(axis: number, indices: readonly number[]): Selection {
  return [...Array.from({ length: axis }, () => undefined), indices];
}

/** The tensor restricted along several axes; the very same tensor if all of them stay whole. */
export function selectAxes(tensor: Tensor, selection: Selection): Tensor {
  return selection.reduce<Tensor>(
    (selected, indices, axis) => (indices === undefined ? selected : selectAxis(selected, axis, indices)),
    tensor,
  );
}

/** The tensor restricted to `indices` along `axis` (NumPy's `take`), as a copy; any element type of fixed size. */
export function selectAxis(tensor: Tensor, axis: number, indices: readonly number[]): Tensor {
  const extent = at(tensor.dims, axis);
  const outer = elementCount(tensor.dims.slice(0, axis));
  const block = elementCount(tensor.dims.slice(axis + 1)) * elementBytes[tensor.type];
  const bytes = new Uint8Array(outer * indices.length * block);
  for (let row = 0; row < outer; row++) {
    indices.forEach((index, position) => {
      const from = (row * extent + index) * block;
      bytes.set(tensor.bytes.subarray(from, from + block), (row * indices.length + position) * block);
    });
  }
  const dims = tensor.dims.map((dim, other) => (other === axis ? indices.length : dim));
  return { type: tensor.type, dims, bytes };
}
