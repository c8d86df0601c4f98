import { describeShape, shapeError } from "../../graph/shape_error.js";
import type { Shape, ValueType } from "../../graph/types.js";
import { squeezeChannels } from "../channels/reshaping.js";
import { fullyKnown, intsArgument, normalizeAxes, requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { isStatic } from "../core/dims.js";
import { reshapingOp } from "../families/reshaping.js";

/** Removes unit dimensions (ONNX Squeeze; axes as attribute up to opset 12, as input from 13). */
export const Squeeze: OpDefinition = reshapingOp(
  "Squeeze",
  (context) => [squeezeType(context)],
  squeezeChannels,
);

function squeezeType(context: NodeContext): ValueType {
  const { elementType, shape } = requiredInput(context, 0);
  return { elementType, shape: shape === undefined ? undefined : squeezed(context, shape) };
}

function squeezed(context: NodeContext, shape: Shape): Shape | undefined {
  const { node } = context;
  const argument = intsArgument(context, 1, "axes");
  if (argument.kind === "absent") return isStatic(shape) ? shape.filter((dim) => dim !== 1) : undefined;
  const stated = fullyKnown(argument);
  if (stated === undefined) return undefined;
  const axes = new Set(normalizeAxes(node, stated, shape.length));
  for (const axis of axes) {
    const dim = shape[axis];
    if (typeof dim === "number" && dim !== 1) {
      throw shapeError(node, "an axis to remove is not of size 1", `1 at axis ${axis}`, describeShape(shape));
    }
  }
  return shape.filter((_, axis) => !axes.has(axis));
}
