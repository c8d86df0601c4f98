import { intAttributeOr } from "../../graph/attributes.js";
import type { ValueType } from "../../graph/types.js";
import { flattenChannels } from "../channels/reshaping.js";
import { normalizeAxis, requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { productOfDims } from "../core/dims.js";
import { reshapingOp } from "../families/reshaping.js";

/** A matrix: dimensions before the axis times dimensions from it on (ONNX Flatten, opset 1 and later). */
export const Flatten: OpDefinition = reshapingOp(
  "Flatten",
  (context) => [flattenType(context)],
  flattenChannels,
);

function flattenType(context: NodeContext): ValueType {
  const { node } = context;
  const { elementType, shape } = requiredInput(context, 0);
  if (shape === undefined) return { elementType, shape: [undefined, undefined] };
  // The axis may equal the rank: one more than an ordinary axis.
  const stated = intAttributeOr(node, "axis", 1);
  const axis = stated === shape.length ? stated : normalizeAxis(node, stated, shape.length);
  return { elementType, shape: [productOfDims(shape.slice(0, axis)), productOfDims(shape.slice(axis))] };
}
