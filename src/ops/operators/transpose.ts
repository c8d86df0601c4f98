import { at } from "../../graph/at.js";
import { intsAttribute } from "../../graph/attributes.js";
import { shapeError } from "../../graph/shape_error.js";
import type { Node, ValueType } from "../../graph/types.js";
import { transposeChannels } from "../channels/reshaping.js";
import { normalizeAxes, requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { stridesOf } from "../core/dims.js";
import { transpose } from "../core/emit.js";
import { stridedValue } from "../core/rearrange.js";

/** Permutation of the axes (ONNX Transpose, opset 1 and later). */
export const Transpose: OpDefinition = {
  type: "Transpose",
  cost: noProducts,
  elements: "moved",
  permutation,
  shape: (context) => [transposeType(context)],
  value: ({ node, values: [x] }) => {
    if (x === undefined) return [undefined];
    const perm = permutation(node, x.dims.length);
    const strides = stridesOf(x.dims);
    return [
      stridedValue(
        x,
        perm.map((axis) => at(x.dims, axis)),
        perm.map((axis) => at(strides, axis)),
      ),
    ];
  },
  channels: transposeChannels(permutation),
  // dx = Transpose(dy) with the inverse permutation.
  gradient: (context) => {
    const { node, builder } = context;
    const [dy] = context.outputGradients;
    const [x] = node.inputs;
    if (dy === undefined || x === undefined) return [undefined];
    const perm = permutation(node, context.dims(x).length);
    return [
      transpose(
        builder,
        dy,
        perm.map((_, axis) => perm.indexOf(axis)),
      ),
    ];
  },
};

/** Axis of the input that becomes each axis of the output; reversed by default. */
export function permutation(node: Node, rank: number): readonly number[] {
  const stated = intsAttribute(node, "perm") ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  if (stated.length === rank) return normalizeAxes(node, stated, rank);
  throw shapeError(node, "the permutation does not fit the input", `${rank} axes`, `[${stated.join(", ")}]`);
}

function transposeType(context: NodeContext): ValueType {
  const { elementType, shape } = requiredInput(context, 0);
  if (shape === undefined) return { elementType, shape };
  return { elementType, shape: permutation(context.node, shape.length).map((axis) => shape[axis]) };
}
