import { int, intAttributeOr, text } from "../../graph/attributes.js";
import { inputsOf } from "../../graph/operands.js";
import type { ValueType } from "../../graph/types.js";
import { normalizeAxis, requiredInput } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import type { NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { reshape } from "../core/emit.js";
import { elementPositions } from "../families/indexing.js";
import { zerosLike } from "../families/scatter_gradient.js";

/**
 * y[i, j, ...] = x[index[i, j, ...], j, ...] along one axis, default 0 (ONNX GatherElements, opset 11 and later).
 * dx gathers dy at the places that were read.
 */
export const GatherElements: OpDefinition = {
  type: "GatherElements",
  cost: noProducts,
  elements: "moved",
  shape: (context) => [gatheredType(context)],
  channels: () => wall("its indices may lead from any channel to any other"),
  gradient: (context) => [gatherElementsGradient(context)],
  expand: (b, node) => {
    const [x, indices] = inputsOf(node, 2);
    const dims = b.dims(x);
    const axis = normalizeAxis(node, intAttributeOr(node, "axis", 0), dims.length);
    const taken = b.emit("Gather", [reshape(b, x, [-1]), elementPositions(b, node, indices, dims, axis)]);
    return [reshape(b, taken, b.dims(indices))];
  },
};

function gatheredType(context: NodeContext): ValueType {
  const { elementType } = requiredInput(context, 0);
  return { elementType, shape: requiredInput(context, 1).shape };
}

function gatherElementsGradient(context: GradientContext): string | undefined {
  const { node, builder: b } = context;
  const [dy] = context.outputGradients;
  const [x, indices] = node.inputs;
  if (dy === undefined || x === undefined || indices === undefined) return undefined;
  const axis = int(intAttributeOr(node, "axis", 0));
  const zeros = zerosLike(context, x);
  return b.emit("ScatterElements", [zeros, indices, dy], { attributes: { axis, reduction: text("add") } });
}
