import type { Dim, Shape, ValueType } from "../../graph/types.js";
import { unsqueezeChannels } from "../channels/reshaping.js";
import { fullyKnown, intsArgument, normalizeAxes, requiredInput, unknownDims } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { reshapingOp } from "../families/reshaping.js";

/** Inserts unit dimensions (ONNX Unsqueeze; axes as attribute up to opset 12, as input from 13). */
export const Unsqueeze: OpDefinition = reshapingOp(
  "Unsqueeze",
  (context) => [unsqueezeType(context)],
  unsqueezeChannels,
);

function unsqueezeType(context: NodeContext): ValueType {
  const { elementType, shape } = requiredInput(context, 0);
  return { elementType, shape: shape === undefined ? undefined : unsqueezed(context, shape) };
}

function unsqueezed(context: NodeContext, shape: Shape): Shape | undefined {
  const argument = intsArgument(context, 1, "axes");
  const stated = fullyKnown(argument);
  if (stated === undefined) {
    const added = argument.kind === "unknown" ? argument.length : undefined;
    return added === undefined ? undefined : unknownDims(shape.length + added);
  }
  const rank = shape.length + stated.length;
  const axes = new Set(normalizeAxes(context.node, stated, rank));
  const rest = [...shape];
  return Array.from({ length: rank }, (_, axis): Dim => (axes.has(axis) ? 1 : rest.shift()));
}
