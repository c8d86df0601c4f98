import { at } from "../../graph/at.js";
import { shapeError } from "../../graph/shape_error.js";
import type { Dim, ValueType } from "../../graph/types.js";
import { tileChannels } from "../channels/resizing.js";
import {
  forwardContext,
  fullyKnown,
  intsArgument,
  needsConstant,
  partlyKnown,
  requiredInput,
  unknownDims,
} from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { reduceSum, reshape } from "../core/emit.js";

/** Repetition along every axis (ONNX Tile, opset 6 and later). */
export const Tile: OpDefinition = {
  type: "Tile",
  cost: noProducts,
  elements: "moved",
  channels: tileChannels,
  shape: (context) => [tileType(context)],
  gradient: (context) => [tileGradient(context)],
};

function tileType(context: NodeContext): ValueType {
  const { elementType, shape } = requiredInput(context, 0);
  if (shape === undefined) return { elementType, shape };
  const repeats = partlyKnown(intsArgument(context, 1, "repeats"));
  if (repeats === undefined) return { elementType, shape: unknownDims(shape.length) };
  if (repeats.length !== shape.length) {
    throw shapeError(context.node, "wrong number of repeats", `${shape.length}`, `${repeats.length}`);
  }
  return { elementType, shape: shape.map((dim, axis) => repeatedDim(dim, repeats[axis])) };
}

function repeatedDim(dim: Dim, times: Dim): Dim {
  if (times === 1) return dim;
  return typeof dim === "number" && typeof times === "number" ? dim * times : undefined;
}

// dx = sum of the copies: dy as [r_0, d_0, r_1, d_1, ...] summed over the repeat axes.
function tileGradient(context: GradientContext): string | undefined {
  const { node, builder } = context;
  const [dy] = context.outputGradients;
  const [x] = node.inputs;
  if (dy === undefined || x === undefined) return undefined;
  const dims = context.dims(x);
  const repeats = fullyKnown(intsArgument(forwardContext(context), 1, "repeats"));
  if (repeats === undefined) throw needsConstant(node, "the repeats");
  const copies = reshape(
    builder,
    dy,
    dims.flatMap((dim, axis) => [at(repeats, axis), dim]),
  );
  return reduceSum(
    builder,
    copies,
    dims.map((_, axis) => 2 * axis),
    false,
  );
}
