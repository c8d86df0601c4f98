import type { Dim, Shape } from "../graph/types.js";

/** Dimensions multiplied by their scales and rounded down; a scale that is not known gives no dimension. */
export function scaledShape(shape: Shape, scales: readonly Dim[]): Shape {
  return shape.map((dim, axis) => {
    const scale = scales[axis];
    if (scale === 1) return dim;
    if (typeof dim !== "number" || typeof scale !== "number") return undefined;
    return Math.floor(dim * scale);
  });
}
