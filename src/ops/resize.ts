import { intsAttribute, stringAttribute } from "../graph/attributes.js";
import type { Dim, Node, Shape, ValueType } from "../graph/types.js";
import { normalizeAxes, requiredInput, unknownDims } from "./arguments.js";
import { resizeChannels } from "./channels/pooling.js";
import { type KnownValue, type NodeContext, type OpDefinition, shapeError } from "./definition.js";
import { scaledShape } from "./scaling.js";

/** Interpolation to given scales or sizes (ONNX Resize, opset 10 and later). */
export const Resize: OpDefinition = {
  type: "Resize",
  shape: (context) => [resizeType(context)],
  channels: resizeChannels,
};

function resizeType(context: NodeContext): ValueType {
  const { node, values } = context;
  const { elementType, shape } = requiredInput(context, 0);
  if (shape === undefined) return { elementType, shape };
  // Opset 10 has inputs (X, scales); later ones (X, roi, scales, sizes).
  const scales = node.inputs.length === 2 ? values[1] : values[2];
  const sizes = values[3];
  if (sizes !== undefined && sizes.elements.length > 0) {
    const exact = (stringAttribute(node, "keep_aspect_ratio_policy") ?? "stretch") === "stretch";
    return { elementType, shape: exact ? spread(node, sizes, shape) : unknownDims(shape.length) };
  }
  if (scales === undefined || scales.elements.length === 0)
    return { elementType, shape: unknownDims(shape.length) };
  const ones: Shape = shape.map(() => 1);
  return { elementType, shape: scaledShape(shape, spread(node, scales, ones)) };
}

/** Puts the values of the listed axes (opset 18; all axes by default) over the rest. */
function spread(node: Node, value: KnownValue, rest: Shape): Shape {
  const axes = normalizeAxes(node, intsAttribute(node, "axes") ?? rest.map((_, axis) => axis), rest.length);
  if (axes.length !== value.elements.length) {
    throw shapeError(node, "wrong number of scales or sizes", `${axes.length}`, `${value.elements.length}`);
  }
  return rest.map((dim, axis): Dim => (axes.includes(axis) ? value.elements[axes.indexOf(axis)] : dim));
}
