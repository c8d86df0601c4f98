import { last, present } from "../../graph/at.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import { elementCount } from "../../graph/tensor.js";
import type { Shape, ValueType } from "../../graph/types.js";
import { requiredInput } from "../core/arguments.js";
import { broadcastShapes } from "../core/broadcast.js";
import type { NodeContext } from "../core/context.js";
import { staticShape } from "../core/definition.js";
/** The type of a matrix product with numpy's broadcasting (ONNX MatMul). */
export function matMulShape(context: NodeContext): readonly ValueType[] {
  const { node } = context;
  const a = requiredInput(context, 0);
  const b = requiredInput(context, 1);
  const { elementType } = a;
  if (a.shape === undefined || b.shape === undefined) return [{ elementType, shape: undefined }];
  if (a.shape.length === 0 || b.shape.length === 0) {
    throw shapeError(node, "a factor is a scalar", "rank 1 or more", "rank 0");
  }
  const left = asRow(a.shape);
  const right = asColumn(b.shape);
  const inner = [left.at(-1), right.at(-2)];
  if (inner.every((dim) => typeof dim === "number") && inner[0] !== inner[1]) {
    throw shapeError(
      node,
      "the factors do not fit each other",
      "as many columns in the first as rows in the second",
      `${describeShape(a.shape)} and ${describeShape(b.shape)}`,
    );
  }
  const batch = present(broadcastShapes(node, left.slice(0, -2), right.slice(0, -2)));
  const rows = a.shape.length === 1 ? [] : [left.at(-2)];
  const columns = b.shape.length === 1 ? [] : [right.at(-1)];
  return [{ elementType, shape: [...batch, ...rows, ...columns] }];
}

/** Each element of the product is a sum over the columns of the first factor. */
export function matMulCost({ node, inputs: [a] }: NodeContext, [y]: readonly ValueType[]): number {
  return elementCount(staticShape(node, y)) * last(staticShape(node, a));
}

export const asRow = <T extends Shape>(shape: T): Shape => (shape.length === 1 ? [1, ...shape] : shape);
export const asColumn = <T extends Shape>(shape: T): Shape => (shape.length === 1 ? [...shape, 1] : shape);
