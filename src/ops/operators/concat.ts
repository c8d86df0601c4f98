import { at } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import type { Dim, Node, Shape, ValueType } from "../../graph/types.js";
import { concatChannels } from "../channels/structure.js";
import { normalizeAxis, requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { slice } from "../core/emit.js";
import { concatenatedValue } from "../core/rearrange.js";

/** Joins tensors along one axis (ONNX Concat, opset 4 and later). */
export const Concat: OpDefinition = {
  type: "Concat",
  cost: noProducts,
  onBlocks: true,
  elements: "moved",
  shape: (context) => [concatType(context)],
  value: ({ node, values }) => {
    const known = values.filter((value) => value !== undefined);
    const [first] = known;
    if (first === undefined || known.length !== values.length) return [undefined];
    return [concatenatedValue(known, concatAxis(node, first.dims.length))];
  },
  channels: concatChannels(concatAxis),
  // dx_i = dy[offset_i : offset_i + size_i] along the axis.
  gradient: (context) => {
    const { node, builder, needs } = context;
    const [dy] = context.outputGradients;
    if (dy === undefined) return [];
    let offset = 0;
    return node.inputs.map((name, index) => {
      const dims = context.dims(name);
      const axis = concatAxis(node, dims.length);
      const start = offset;
      offset += at(dims, axis);
      return needs[index] === true ? slice(builder, dy, [{ axis, start, end: offset }]) : undefined;
    });
  },
};

/** The axis of a Concat node, counted from the front. */
export function concatAxis(node: Node, rank: number): number {
  const axis = intAttribute(node, "axis");
  if (axis === undefined) throw shapeError(node, 'attribute "axis" is missing');
  return normalizeAxis(node, axis, rank);
}

function concatType(context: NodeContext): ValueType {
  const { node, inputs } = context;
  const { elementType } = requiredInput(context, 0);
  const shapes = inputs.map((input) => input?.shape);
  const known = shapes.filter((shape) => shape !== undefined);
  const [first] = known;
  if (first === undefined) return { elementType, shape: undefined };
  if (known.some((shape) => shape.length !== first.length)) throw mismatch(node, known);
  const axis = concatAxis(node, first.length);
  const shape = first.map((_, at) => {
    const dims = shapes.map((candidate) => candidate?.[at]);
    return at === axis ? sumOfDims(dims) : commonDim(node, dims, known);
  });
  return { elementType, shape };
}

function sumOfDims(dims: readonly Dim[]): Dim {
  let sum = 0;
  for (const dim of dims) {
    if (typeof dim !== "number") return dims.length === 1 ? dim : undefined;
    sum += dim;
  }
  return sum;
}

function commonDim(node: Node, dims: readonly Dim[], shapes: readonly Shape[]): Dim {
  const numbers = new Set(dims.filter((dim) => typeof dim === "number"));
  if (numbers.size > 1) throw mismatch(node, shapes);
  const [number] = numbers;
  return number ?? dims.find((dim) => dim !== undefined);
}

function mismatch(node: Node, shapes: readonly Shape[]): Error {
  return shapeError(
    node,
    "inputs do not fit together",
    "equal dimensions outside the axis",
    shapes.map(describeShape).join(" and "),
  );
}
