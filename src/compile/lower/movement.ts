import { elementCount } from "../../graph/tensor.js";
import { stridesOf } from "../../ops/dims.js";
import { constant } from "../kernel_builder.js";
import { stridedKernel } from "../kernels/strided.js";
import type { Location } from "../program.js";
import { behind } from "../program_builder.js";
import type { LoweringContext } from "./definition.js";

/** Part of an array: dimensions, and how far each axis moves on. */
export interface StridedView {
  readonly location: Location;
  readonly strides: readonly number[];
}

/** Copies elements between two views of the same dimensions. */
export function copyStrided(
  context: LoweringContext,
  dims: readonly number[],
  from: StridedView,
  to: StridedView,
): void {
  if (elementCount(dims) === 0) return;
  const kernel = stridedKernel(
    {
      name: "copy",
      comment: `Copies ${dims.join(" x ")} elements.`,
      dims,
      inputs: [{ strides: from.strides }],
      output: { strides: to.strides },
      compute: ([x]) => x ?? constant(0),
    },
    context.width,
  );
  context.call(kernel, [from.location, to.location]);
}

/** Fills `count` consecutive elements. */
export function fill(context: LoweringContext, location: Location, count: number, value: number): void {
  const kernel = stridedKernel(
    {
      name: "fill",
      comment: `Fills ${count} elements with ${value}.`,
      dims: [count],
      inputs: [],
      output: { strides: [1] },
      compute: () => constant(value),
    },
    context.width,
  );
  context.call(kernel, [location]);
}

/** Where an element of a row-major array stands. */
export function flatPosition(dims: readonly number[], index: readonly number[]): number {
  return stridesOf(dims).reduce((sum, stride, axis) => sum + stride * (index[axis] ?? 0), 0);
}

export const viewOf = (
  location: Location,
  dims: readonly number[],
  index: readonly number[] = [],
): StridedView => {
  return { location: behind(location, flatPosition(dims, index)), strides: stridesOf(dims) };
};
