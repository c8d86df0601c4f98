import { at, hasInput } from "../../graph/at.js";
import { ints, intsAttribute, stringAttribute } from "../../graph/attributes.js";
import { shapeError } from "../../graph/shape_error.js";
import { elementCount } from "../../graph/tensor.js";
import type { Dim, Node, Shape, ValueType } from "../../graph/types.js";
import { resizeChannels } from "../channels/resizing.js";
import {
  forwardContext,
  needsConstant,
  normalizeAxes,
  requiredInput,
  unknownDims,
} from "../core/arguments.js";
import type { KnownValue, NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { isStatic } from "../core/dims.js";
import { mul } from "../core/emit.js";
import { scaledShape } from "../core/scaling.js";
import { type AxisMap, adjointAlongAxes, spatialRepetition } from "../families/axis_map.js";
import { resizeMaps } from "../families/interpolation.js";

/**
 * Interpolation to given scales or sizes (ONNX Resize, opset 10 and later). It is linear in x, so its gradient is the
 * adjoint: every element of dx collects dy from the elements that were made of it, with the same weights.
 */
export const Resize: OpDefinition = {
  type: "Resize",
  cost: noProducts,
  onBlocks: true,
  elements: "interpolated",
  constants: { trained: [], settings: [1, 2] },
  shape: (context) => [resizeType(context)],
  channels: resizeChannels,
  gradient: (context) => [resizeGradient(context)],
};

function resizeType(context: NodeContext): ValueType {
  const { node, values } = context;
  const { elementType, shape } = requiredInput(context, 0);
  if (shape === undefined) return { elementType, shape };
  const scales = values[scalesInput(node)];
  const sizes = values[3];
  if (sizes !== undefined && sizes.elements.length > 0) {
    if (!keepsAspect(node)) return { elementType, shape: spread(node, sizes, shape) };
    return { elementType, shape: keptAspect(node, sizes, shape)?.shape ?? unknownDims(shape.length) };
  }
  if (scales === undefined || scales.elements.length === 0)
    return { elementType, shape: unknownDims(shape.length) };
  const ones: Shape = shape.map(() => 1);
  return { elementType, shape: scaledShape(shape, spread(node, scales, ones)) };
}

/** Opset 10 has inputs (X, scales); later ones (X, roi, scales, sizes). */
const scalesInput = (node: Node): number => (node.inputs.length === 2 ? 1 : 2);

/** Puts the values of the listed axes (opset 18; all axes by default) over the rest. */
function spread(node: Node, value: KnownValue, rest: Shape): Shape {
  const axes = resizedAxesOf(node, rest.length);
  if (axes.length !== value.elements.length) {
    throw shapeError(node, "wrong number of scales or sizes", `${axes.length}`, `${value.elements.length}`);
  }
  return rest.map((dim, axis): Dim => (axes.includes(axis) ? value.elements[axes.indexOf(axis)] : dim));
}

/** Whether stated sizes are bounds, within or beyond which the aspect ratio is kept (opset 18). */
export function keepsAspect(node: Node): boolean {
  return (stringAttribute(node, "keep_aspect_ratio_policy") ?? "stretch") !== "stretch";
}

/**
 * One scale for all axes that are resized, the smallest or the largest that the sizes ask for (in float32, as in ONNX
 * Runtime), and the sizes that it leads to, rounded to the nearest; undefined where a size is not known.
 */
function keptAspect(
  node: Node,
  sizes: KnownValue,
  shape: Shape,
): { readonly shape: readonly number[]; readonly scales: readonly number[] } | undefined {
  if (!isStatic(shape)) return undefined;
  const axes = resizedAxesOf(node, shape.length);
  const asked = axes.map((axis, index) => {
    const size = sizes.elements[index];
    return typeof size === "number" ? Math.fround(size / at(shape, axis)) : Number.NaN;
  });
  const isLarger = stringAttribute(node, "keep_aspect_ratio_policy") === "not_smaller";
  const scale = isLarger ? Math.max(...asked) : Math.min(...asked);
  if (!Number.isFinite(scale)) return undefined;
  return {
    shape: shape.map((dim, axis) => (axes.includes(axis) ? Math.round(Math.fround(scale * dim)) : dim)),
    scales: shape.map((_, axis) => (axes.includes(axis) ? scale : 1)),
  };
}

/** The axes that scales and sizes are stated for (opset 18; all by default). */
export function resizedAxesOf(node: Node, rank: number): readonly number[] {
  const all = Array.from({ length: rank }, (_, axis) => axis);
  return normalizeAxes(node, intsAttribute(node, "axes") ?? all, rank);
}

function resizeGradient(context: GradientContext): string | undefined {
  const { node, builder, dims } = context;
  const [dy] = context.outputGradients;
  const [x] = node.inputs;
  const [y] = node.outputs;
  if (dy === undefined || x === undefined || y === undefined || context.needs[0] !== true) return undefined;
  const maps = resizedAxes(forwardContext(context), dims(x), dims(y));
  if (maps === undefined) throw needsConstant(node, "the scales");
  const repeats = spatialRepetition(maps, dims(x).length);
  if (repeats === undefined) return adjointAlongAxes(builder, node, dy, maps);
  const window = { kernel_shape: ints(repeats), strides: ints(repeats) };
  const mean = builder.emit("AveragePool", [dy], { attributes: window });
  return mul(builder, mean, builder.scalar(elementCount(repeats)));
}

/**
 * The linear maps that a Resize node is made of; undefined where its scales are computed while the model runs.
 * @throws PenniError as `resizeMaps`
 */
export function resizedAxes(
  context: NodeContext,
  input: readonly number[],
  output: readonly number[],
): readonly AxisMap[] | undefined {
  const { node } = context;
  const [, , , sizes] = context.values;
  if (hasInput(node, 3)) {
    const scales =
      keepsAspect(node) && sizes !== undefined ? keptAspect(node, sizes, input)?.scales : undefined;
    return keepsAspect(node) && scales === undefined ? undefined : resizeMaps(node, input, output, scales);
  }
  const value = context.values[scalesInput(node)];
  const ones = input.map(() => 1);
  const scales = value === undefined ? undefined : spread(node, value, ones);
  const known = scales?.filter((scale) => typeof scale === "number");
  return known?.length === input.length ? resizeMaps(node, input, output, known) : undefined;
}
