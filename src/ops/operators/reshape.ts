import { intAttribute } from "../../graph/attributes.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import { elementCount } from "../../graph/tensor.js";
import type { Dim, Node, Shape, ValueType } from "../../graph/types.js";
import { reshapeChannels } from "../channels/reshaping.js";
import { intsArgument, partlyKnown, requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { isStatic, productOfDims } from "../core/dims.js";
import { reshapingOp } from "../families/reshaping.js";

/** New dimensions for the same elements (ONNX Reshape, opset 5 and later; 0 copies a dimension, -1 is inferred). */
export const Reshape: OpDefinition = reshapingOp(
  "Reshape",
  (context) => [reshapeType(context)],
  reshapeChannels,
);

function reshapeType(context: NodeContext): ValueType {
  const { node } = context;
  const { elementType, shape } = requiredInput(context, 0);
  const wanted = partlyKnown(intsArgument(context, 1, "shape"));
  if (wanted === undefined) return { elementType, shape: undefined };
  const copied = intAttribute(node, "allowzero") === 1 ? wanted : copyZeros(node, wanted, shape);
  return { elementType, shape: inferRest(node, copied, shape) };
}

function copyZeros(node: Node, wanted: readonly Dim[], shape: Shape | undefined): Shape {
  return wanted.map((dim, axis) => {
    if (dim !== 0) return dim;
    if (shape !== undefined && axis >= shape.length) {
      throw shapeError(
        node,
        "a zero in the shape copies an axis that is not there",
        describeShape(shape),
        `${axis}`,
      );
    }
    return shape?.[axis];
  });
}

/** Replaces -1 by what is left of the input once the other dimensions are taken out of it. */
function inferRest(node: Node, wanted: Shape, shape: Shape | undefined): Shape {
  const open = wanted.indexOf(-1);
  if (wanted.some((dim, axis) => typeof dim === "number" && dim < 0 && axis !== open)) {
    throw shapeError(node, "malformed shape", "at most one -1", describeShape(wanted));
  }
  if (shape === undefined) return wanted.map((dim) => (dim === -1 ? undefined : dim));
  if (open < 0) {
    checkCount(node, wanted, shape);
    return wanted;
  }
  return wanted.with(open, restOf(node, shape, wanted.toSpliced(open, 1)));
}

function checkCount(node: Node, wanted: Shape, shape: Shape): void {
  if (!isStatic(wanted) || !isStatic(shape) || productOfDims(wanted) === productOfDims(shape)) return;
  throw mismatch(node, shape, wanted);
}

function mismatch(node: Node, shape: Shape, wanted: Shape): Error {
  return shapeError(
    node,
    "the number of elements changes",
    `as many as in ${describeShape(shape)}`,
    describeShape(wanted),
  );
}

/** product(shape) / product(taken), where symbols on both sides cancel. */
function restOf(node: Node, shape: Shape, taken: Shape): Dim {
  const symbols = shape.filter((dim) => typeof dim !== "number");
  for (const dim of taken) {
    if (typeof dim === "number") continue;
    const at = dim === undefined ? -1 : symbols.indexOf(dim);
    if (at < 0) return undefined;
    symbols.splice(at, 1);
  }
  const isNumber = (dim: Dim): dim is number => typeof dim === "number";
  const dividend = elementCount(shape.filter(isNumber));
  const divisor = elementCount(taken.filter(isNumber));
  if (divisor === 0) return dividend === 0 && symbols.length === 0 ? 0 : undefined;
  const factor = dividend / divisor;
  if (symbols.length === 0 && !Number.isInteger(factor)) throw mismatch(node, shape, taken);
  return productOfDims([factor, ...symbols]);
}
