import { orDefault, present } from "../../graph/at.js";
import { elementCount } from "../../graph/tensor.js";
import { stridesOf } from "../../ops/core/dims.js";
import { constant } from "../kernel_builder.js";
import { type StridedMap, stridedKernel } from "../kernels/strided.js";
import type { Location } from "../program.js";
import { behind } from "../program_builder.js";
import type { LoweringContext } from "./definition.js";

/** Part of an array: dimensions, and how far each axis moves on. */
export interface StridedView {
  readonly location: Location;
  readonly strides: readonly number[];
}

/** Computes every element of a view from those of others, all of the same dimensions. */
export function mapViews(
  context: LoweringContext,
  map: Pick<StridedMap, "name" | "dims" | "compute">,
  from: readonly StridedView[],
  to: StridedView,
): void {
  const { name, dims, compute } = map;
  if (elementCount(dims) === 0) return;
  const comment = `${name}: ${dims.join(" x ")} elements.`;
  const kernel = stridedKernel({ name, comment, dims, inputs: from, output: to, compute }, context.width);
  context.call(
    kernel,
    [...from, to].map((view) => view.location),
  );
}

/** Copies elements between two views of the same dimensions. */
export function copyStrided(
  context: LoweringContext,
  dims: readonly number[],
  from: StridedView,
  to: StridedView,
): void {
  mapViews(context, { name: "copy", dims, compute: ([x]) => present(x) }, [from], to);
}

/** Fills `count` consecutive elements. */
export function fill(context: LoweringContext, location: Location, count: number, value: number): void {
  if (count === 0) return;
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

/** Where an element of a row-major array stands; axes that are not named are at their beginning. */
export function flatPosition(dims: readonly number[], index: readonly number[]): number {
  return stridesOf(dims).reduce((sum, stride, axis) => sum + stride * orDefault(index[axis], 0), 0);
}

export const viewOf = (
  location: Location,
  dims: readonly number[],
  index: readonly number[] = [],
): StridedView => {
  return { location: behind(location, flatPosition(dims, index)), strides: stridesOf(dims) };
};
