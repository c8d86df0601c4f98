import { elementCount } from "../../graph/tensor.js";
import type { Dim, Shape } from "../../graph/types.js";

export function isStatic(shape: Shape | undefined): shape is readonly number[] {
  return shape?.every((dim) => typeof dim === "number") ?? false;
}

/** The product of some dimensions: a lone symbol times ones stays that symbol. */
export function productOfDims(dims: readonly Dim[]): Dim {
  const others = dims.filter((dim) => typeof dim !== "number");
  const product = elementCount(dims.filter((dim) => typeof dim === "number"));
  if (others.length === 0 || product === 0) return product;
  return others.length === 1 && product === 1 ? others[0] : undefined;
}

/** Row-major strides, in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (const dim of dims.toReversed()) {
    strides.unshift(stride);
    stride *= dim;
  }
  return strides;
}

/** The largest divisor of a size up to `most`, at least 1. */
export function largestDivisor(size: number, most: number): number {
  let divisor = Math.max(1, Math.min(size, most));
  while (size % divisor !== 0) divisor--;
  return divisor;
}
