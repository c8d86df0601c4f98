import { at } from "../../graph/at.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import type { Dim, Node, Shape } from "../../graph/types.js";
import type { NodeContext } from "./context.js";
import { stridesOf } from "./dims.js";

function broadcastDim(node: Node, a: Dim, b: Dim, shapes: readonly Shape[]): Dim {
  if (a === 1) return b;
  if (b === 1 || a === b) return a;
  if (typeof a === "number" && typeof b === "number") {
    throw shapeError(
      node,
      "inputs do not broadcast",
      "equal or unit dimensions",
      shapes.map(describeShape).join(" and "),
    );
  }
  // A known size other than 1 decides; two different symbols decide nothing.
  if (typeof a === "number") return a;
  return typeof b === "number" ? b : undefined;
}

/**
 * Checks that an input, as far as its shape is known, broadcasts to a shape and does not enlarge it (ONNX
 * "Unidirectional Broadcasting").
 * @throws PenniError "shape" if it does not.
 */
export function checkBroadcastsTo(
  { node, inputs }: NodeContext,
  index: number,
  target: Shape | undefined,
): void {
  const shape = inputs[index]?.shape;
  if (shape === undefined || target === undefined) return;
  const lead = target.length - shape.length;
  const fits = shape.every((dim, axis) => {
    const wanted = target[lead + axis];
    return dim === 1 || typeof dim !== "number" || typeof wanted !== "number" || dim === wanted;
  });
  if (lead >= 0 && fits) return;
  throw shapeError(
    node,
    `input ${index} does not broadcast to the result`,
    `what broadcasts to ${describeShape(target)}`,
    describeShape(shape),
  );
}

/** Row-major strides of an array of shape `dims` when it is broadcast to `target`; 0 along axes where it repeats. */
export function broadcastStrides(dims: readonly number[], target: readonly number[]): readonly number[] {
  const own = stridesOf(dims);
  const lead = target.length - dims.length;
  return target.map((_, axis) => (axis < lead || dims[axis - lead] === 1 ? 0 : at(own, axis - lead)));
}

/** NumPy-style multidirectional broadcasting (ONNX "Broadcasting in ONNX"). */
export function broadcastShapes(node: Node, a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (a === undefined || b === undefined) return undefined;
  const rank = Math.max(a.length, b.length);
  const aligned = (shape: Shape, axis: number): Dim => {
    const index = axis - (rank - shape.length);
    return index < 0 ? 1 : shape[index];
  };
  return Array.from({ length: rank }, (_, axis) =>
    broadcastDim(node, aligned(a, axis), aligned(b, axis), [a, b]),
  );
}
