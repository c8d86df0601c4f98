import { int, intAttribute, intAttributeOr } from "../../graph/attributes.js";
import type { Dim, ValueType } from "../../graph/types.js";
import { normalizeAxis, requiredInput } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import type { NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { unsupportedForm } from "../core/unsupported_form.js";
import { zerosLike } from "../families/scatter_gradient.js";

/**
 * The k largest (or smallest) elements along one axis, default the last, and their int64 positions (ONNX TopK; k is an
 * attribute in opset 1, an input from 10). dx holds dy at the places that were found.
 */
export const TopK: OpDefinition = {
  type: "TopK",
  scalars: [1],
  cost: noProducts,
  shape: topKTypes,
  channels: () => wall("it sorts"),
  gradient: (context) => [topKGradient(context)],
};

function topKTypes(context: NodeContext): readonly ValueType[] {
  const { node, values } = context;
  const { elementType, shape } = requiredInput(context, 0);
  const k: Dim = intAttribute(node, "k") ?? values[1]?.elements[0];
  const found = shape?.with(normalizeAxis(node, intAttributeOr(node, "axis", -1), shape.length), k);
  return [
    { elementType, shape: found },
    { elementType: "int64", shape: found },
  ];
}

function topKGradient(context: GradientContext): string | undefined {
  const { node, builder: b } = context;
  const [dy] = context.outputGradients;
  const [x] = node.inputs;
  const [, positions] = node.outputs;
  if (dy === undefined || x === undefined) return undefined;
  if (positions === undefined || positions === "")
    throw unsupportedForm(node, "gradient", "two outputs", "the values alone");
  const attributes = { axis: int(intAttributeOr(node, "axis", -1)) };
  return b.emit("ScatterElements", [zerosLike(context, x), positions, dy], { attributes });
}
