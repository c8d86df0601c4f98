import { at } from "../../graph/at.js";
import { int, intAttribute, intAttributeOr } from "../../graph/attributes.js";
import { shapeError } from "../../graph/shape_error.js";
import type { Dim, Node, ValueType } from "../../graph/types.js";
import { splitChannels } from "../channels/structure.js";
import { fullyKnown, intsArgument, normalizeAxis, requiredInput } from "../core/arguments.js";
import type { KnownValue, NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { stridesOf } from "../core/dims.js";
import { stridedValue } from "../core/rearrange.js";

/** Parts along one axis (ONNX Split; sizes as attribute up to opset 12, as input from 13, num_outputs from 18). */
export const Split: OpDefinition = {
  type: "Split",
  cost: noProducts,
  onBlocks: true,
  elements: "moved",
  shape: splitTypes,
  value: splitValues,
  channels: splitChannels({ axis: splitAxis, sizes: splitSizes }),
  gradient: (context) => [splitGradient(context)],
};

/** The axis of a Split node, counted from the front. */
export function splitAxis(node: Node, rank: number): number {
  return normalizeAxis(node, intAttributeOr(node, "axis", 0), rank);
}

/** Sizes of the parts of an axis; undefined entries where they are not known. */
export function splitSizes(context: NodeContext, dim: Dim): readonly Dim[] {
  const { node } = context;
  const count = node.outputs.length;
  const argument = intsArgument(context, 1, "split");
  if (argument.kind === "absent") return equalParts(node, dim, count);
  const sizes = fullyKnown(argument);
  if (sizes === undefined) return node.outputs.map(() => undefined);
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (sizes.length !== count || (typeof dim === "number" && sum !== dim)) {
    throw shapeError(
      node,
      "the parts do not add up",
      `${count} parts of ${dim ?? "?"}`,
      `[${sizes.join(", ")}]`,
    );
  }
  return sizes;
}

function equalParts(node: Node, dim: Dim, count: number): readonly Dim[] {
  if (count === 1) return [dim];
  if (typeof dim !== "number") return node.outputs.map(() => undefined);
  const uneven = intAttribute(node, "num_outputs") !== undefined;
  if (dim % count !== 0 && !uneven) {
    throw shapeError(node, "the axis does not divide evenly", `a multiple of ${count}`, `${dim}`);
  }
  const size = Math.ceil(dim / count);
  return node.outputs.map((_, index) => Math.max(0, Math.min(size, dim - index * size)));
}

function splitTypes(context: NodeContext): readonly ValueType[] {
  const { node } = context;
  const { elementType, shape } = requiredInput(context, 0);
  if (shape === undefined) return node.outputs.map(() => ({ elementType, shape }));
  const axis = splitAxis(node, shape.length);
  return splitSizes(context, shape[axis]).map((size) => ({ elementType, shape: shape.with(axis, size) }));
}

function splitValues(context: NodeContext): readonly (KnownValue | undefined)[] {
  const [x] = context.values;
  if (x === undefined) return [];
  const axis = splitAxis(context.node, x.dims.length);
  const strides = stridesOf(x.dims);
  let start = 0;
  return splitSizes(context, x.dims[axis]).map((size) => {
    if (typeof size !== "number") return undefined;
    const offset = start * at(strides, axis);
    start += size;
    return stridedValue(x, x.dims.with(axis, size), strides, offset);
  });
}

// dx = Concat(dy_0, dy_1, ...), with zeros for the parts that do not reach the loss.
function splitGradient(context: GradientContext): string | undefined {
  const { node, builder, outputGradients } = context;
  const [x] = node.inputs;
  if (x === undefined || outputGradients.every((dy) => dy === undefined)) return undefined;
  const parts = node.outputs.map(
    (name, index) =>
      outputGradients[index] ?? builder.emit("ConstantOfShape", [builder.axes(context.dims(name))]),
  );
  const axis = splitAxis(node, context.dims(x).length);
  return builder.emit("Concat", parts, { attributes: { axis: int(axis) } });
}
