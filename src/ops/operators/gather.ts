import { at } from "../../graph/at.js";
import { int, intAttributeOr } from "../../graph/attributes.js";
import { shapeError } from "../../graph/shape_error.js";
import { elementCount, numericData } from "../../graph/tensor.js";
import type { Node, ValueType } from "../../graph/types.js";
import { gatherChannels } from "../channels/structure.js";
import { needsConstant, normalizeAxis, requiredInput } from "../core/arguments.js";
import type { KnownValue, NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { reshape } from "../core/emit.js";
import { knownNumbers } from "../core/rearrange.js";
import { type AxisTap, adjointAlongAxes, checkAxisLength } from "../families/axis_map.js";
import { padOrCrop } from "../families/pad_or_crop.js";

/** Entries of one axis by index (ONNX Gather, opset 1 and later). */
export const Gather: OpDefinition = {
  type: "Gather",
  cost: noProducts,
  elements: "moved",
  scaleAxes: { 0: () => 0 },
  shape: (context) => [gatherType(context)],
  value: (context) => [gatherValue(context)],
  channels: gatherChannels,
  gradient: (context) => [gatherGradient(context)],
};

function gatherType(context: NodeContext): ValueType {
  const { node } = context;
  const { elementType, shape } = requiredInput(context, 0);
  const indices = requiredInput(context, 1).shape;
  if (shape === undefined || indices === undefined) return { elementType, shape: undefined };
  const axis = normalizeAxis(node, intAttributeOr(node, "axis", 0), shape.length);
  return { elementType, shape: shape.toSpliced(axis, 1, ...indices) };
}

function gatherValue({ node, values: [data, indices] }: NodeContext): KnownValue | undefined {
  const wanted = knownNumbers(indices);
  if (data === undefined || indices === undefined || wanted === undefined) return undefined;
  const axis = normalizeAxis(node, intAttributeOr(node, "axis", 0), data.dims.length);
  const size = at(data.dims, axis);
  const inner = elementCount(data.dims.slice(axis + 1));
  const positions = wanted.map((index) => gatheredPosition(node, index, size));
  const elements = Array.from({ length: elementCount(data.dims.slice(0, axis)) }, (_, block) =>
    positions.flatMap((at) => {
      const start = (block * size + at) * inner;
      return data.elements.slice(start, start + inner);
    }),
  ).flat();
  return { type: data.type, dims: data.dims.toSpliced(axis, 1, ...indices.dims), elements };
}

/** An index counted from the front. @throws PenniError "shape" if it lies outside the axis */
export function gatheredPosition(node: Node, index: number, size: number): number {
  const at = index < 0 ? index + size : index;
  if (at >= 0 && at < size) return at;
  throw shapeError(node, "an index lies outside the axis", `[${-size}, ${size - 1}]`, `${index}`);
}

// dx[indices[i]] = dy[i], zero elsewhere. With distinct indices that is a Gather of dy by the inverse
// mapping, where entries that were not taken read a row of zeros appended to dy. Else it is a product with the matrix
// of what went where.
function gatherGradient(context: GradientContext): string | undefined {
  const { node, builder } = context;
  const [dy] = context.outputGradients;
  const [x, indexName] = node.inputs;
  if (dy === undefined || x === undefined || indexName === undefined) return undefined;
  const dims = context.dims(x);
  const axis = normalizeAxis(node, intAttributeOr(node, "axis", 0), dims.length);
  const size = at(dims, axis);
  const constant = context.constant(indexName);
  if (constant === undefined) throw needsConstant(node, "the indices");
  const taken = numericData(constant).map((index) => gatheredPosition(node, index, size));
  const flat = dims.with(axis, taken.length);
  const rows = constant.dims.length === 1 ? dy : reshape(builder, dy, flat);
  if (new Set(taken).size !== taken.length) {
    return adjointAlongAxes(builder, node, rows, [{ axis, inputs: size, taps: taken.map(copied) }]);
  }
  checkAxisLength(node, size);
  const places = new Map(taken.map((index, at) => [index, at]));
  const inverse = Array.from({ length: size }, (_, index) => places.get(index) ?? taken.length);
  const margin = flat.map((_, at) => (at === axis && taken.length < size ? 1 : 0));
  const extended = padOrCrop(builder, rows, flat, { begins: margin.map(() => 0), ends: margin });
  return builder.emit("Gather", [extended, builder.axes(inverse)], { attributes: { axis: int(axis) } });
}

const copied = (input: number): readonly AxisTap[] => [{ input, weight: 1 }];
