import { at, present } from "../../graph/at.js";
import { elementCount, numericData } from "../../graph/tensor.js";
import type { Shape, Tensor } from "../../graph/types.js";
import type { KnownValue } from "./context.js";
import { isStatic } from "./dims.js";

/** Rules that can make much out of little (Expand, Range, ...) leave results with more elements unknown. */
export const LARGEST_GENERATED = 4096;

/** The elements as numbers; undefined unless all of them are. */
export function knownNumbers(value: KnownValue | undefined): readonly number[] | undefined {
  return value?.elements.every((element): element is number => typeof element === "number")
    ? (value.elements as readonly number[])
    : undefined;
}

/** A numeric tensor, however large, as a known value; undefined for types that have no numbers. */
export function knownTensor(tensor: Tensor): KnownValue | undefined {
  if (tensor.type === "string" || tensor.type === "other" || tensor.type === "bfloat16") return undefined;
  return { type: tensor.type, dims: tensor.dims, elements: numericData(tensor) };
}

/**
 * Walks a strided array of shape `dims` in row-major order: `visit` gets, for each index i, how many came before
 * and the flat position `offset + sum_a i[a] * strides[a]`.
 */
export function forEachPosition(
  dims: readonly number[],
  strides: readonly number[],
  offset: number,
  visit: (order: number, position: number) => void,
): void {
  const count = elementCount(dims);
  const index = dims.map(() => 0);
  let position = offset;
  for (let order = 0; order < count; order++) {
    visit(order, position);
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const next = present(index[axis]) + 1;
      const stride = present(strides[axis]);
      if (next < present(dims[axis])) {
        index[axis] = next;
        position += stride;
        break;
      }
      index[axis] = 0;
      position -= (next - 1) * stride;
    }
  }
}

/**
 * A value of shape `dims` whose element at index i is the source's element at flat offset
 * `offset + sum_a i[a] * strides[a]`: Slice, Transpose and Expand are nothing else.
 */
export function stridedValue(
  source: KnownValue,
  dims: readonly number[],
  strides: readonly number[],
  offset = 0,
): KnownValue {
  const elements: KnownValue["elements"][number][] = new Array(elementCount(dims));
  forEachPosition(dims, strides, offset, (order, position) => {
    elements[order] = source.elements[position];
  });
  return { type: source.type, dims, elements };
}

/** The same elements with other dimensions; undefined where those do not fit or are not all known. */
export function reshapedValue(
  source: KnownValue | undefined,
  shape: Shape | undefined,
): KnownValue | undefined {
  if (source === undefined || !isStatic(shape)) return undefined;
  if (elementCount(shape) !== source.elements.length) return undefined;
  return { type: source.type, dims: shape, elements: source.elements };
}

/** Joins values along an axis; all other dimensions must agree. */
export function concatenatedValue(sources: readonly KnownValue[], axis: number): KnownValue | undefined {
  const [first] = sources;
  if (first === undefined) return undefined;
  const inner = elementCount(first.dims.slice(axis + 1));
  const outer = elementCount(first.dims.slice(0, axis));
  const rows = sources.map((source) => at(source.dims, axis) * inner);
  const elements = Array.from({ length: outer }, (_, block) =>
    sources.flatMap((source, index) => {
      const length = at(rows, index);
      return source.elements.slice(block * length, (block + 1) * length);
    }),
  ).flat();
  const joined = sources.reduce((sum, source) => sum + at(source.dims, axis), 0);
  return { type: first.type, dims: first.dims.with(axis, joined), elements };
}
