import type { Dim, Shape } from "../../graph/types.js";

/** A dimension multiplied by a float32 scale, in float32 as ONNX Runtime does it, and rounded down. */
export function scaledDim(dim: number, scale: number): number {
  return Math.floor(Math.fround(dim * Math.fround(scale)));
}

/** Dimensions multiplied by their scales and rounded down; a scale that is not known gives no dimension. */
export function scaledShape(shape: Shape, scales: readonly Dim[]): Shape {
  return shape.map((dim, axis) => {
    const scale = scales[axis];
    if (scale === 1) return dim;
    if (typeof dim !== "number" || typeof scale !== "number") return undefined;
    return scaledDim(dim, scale);
  });
}
