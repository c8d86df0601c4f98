import { present } from "../../graph/at.js";
import { elementCount } from "../../graph/tensor.js";
import type { ElementType, Node, Shape } from "../../graph/types.js";
import { broadcastShapes, broadcastStrides } from "./broadcast.js";
import type { KnownValue, NodeContext } from "./context.js";
import { isInteger } from "./element_types.js";
import { forEachPosition } from "./rearrange.js";

/** An element of a known value: a number, the name of a symbolic dimension, or unknown. */
export type KnownElement = KnownValue["elements"][number];

/** For each element of the result, in row-major order, the offset of the operand's element that meets it. */
function broadcastOffsets(dims: readonly number[], result: readonly number[]): readonly number[] {
  const offsets: number[] = new Array(elementCount(result));
  forEachPosition(result, broadcastStrides(dims, result), 0, (order, position) => {
    offsets[order] = position;
  });
  return offsets;
}

/**
 * Applies an element-wise function to known values with broadcasting; undefined unless every operand is
 * known. A number that the result's type cannot hold exactly (int64 beyond 2^53, x / 0) becomes unknown.
 */
export function mapKnown(
  node: Node,
  type: ElementType,
  operands: readonly (KnownValue | undefined)[],
  apply: (elements: readonly KnownElement[]) => KnownElement,
): KnownValue | undefined {
  if (!operands.every((operand) => operand !== undefined)) return undefined;
  const dims = operands.reduce<Shape>((shape, { dims }) => present(broadcastShapes(node, shape, dims)), []);
  const result = dims.filter((dim) => typeof dim === "number");
  const offsets = operands.map((operand) => broadcastOffsets(operand.dims, result));
  const elements = Array.from({ length: elementCount(result) }, (_, index) =>
    stored(
      type,
      apply(operands.map((operand, which) => operand.elements[present(present(offsets[which])[index])])),
    ),
  );
  return { type, dims: result, elements };
}

/** What the element type keeps of a computed number. */
function stored(type: ElementType, element: KnownElement): KnownElement {
  if (typeof element !== "number") return element;
  if (type === "float32") return Math.fround(element);
  if (!isInteger(type)) return element;
  // Adding 0 turns -0, which integers do not have, into 0.
  const whole = Math.trunc(element) + 0;
  return Number.isSafeInteger(whole) ? whole : undefined;
}

/** A value rule of an element-wise function of numbers; unknown and symbolic elements stay unknown. */
export function numericValue(
  apply: (...numbers: number[]) => number,
): (context: NodeContext) => readonly (KnownValue | undefined)[] {
  return ({ node, values }) => {
    const [first] = values;
    if (first === undefined) return [];
    return [mapKnown(node, first.type, values, (elements) => applyToNumbers(apply, elements))];
  };
}

/** `apply` if all elements are numbers, else unknown. */
export function applyToNumbers(
  apply: (...numbers: number[]) => number,
  elements: readonly KnownElement[],
): number | undefined {
  const numbers = elements.filter((element) => typeof element === "number");
  return numbers.length === elements.length ? apply(...numbers) : undefined;
}
