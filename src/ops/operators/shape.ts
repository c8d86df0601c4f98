import { intAttribute, intAttributeOr } from "../../graph/attributes.js";
import type { Shape as Dims } from "../../graph/types.js";
import { shapeChannels } from "../channels/shape.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts, ofConstants } from "../core/definition.js";
import { sliceRanges } from "./slice.js";

/** Dimensions of a tensor as int64 (ONNX Shape, opset 1 and later; start and end from 15). */
export const Shape: OpDefinition = {
  type: "Shape",
  gradient: ofConstants,
  cost: noProducts,
  shape: (context) => [{ elementType: "int64", shape: [selectedDims(context)?.length] }],
  channels: shapeChannels(slicedPositions),
  value: (context) => {
    const dims = selectedDims(context);
    return [dims === undefined ? undefined : { type: "int64", dims: [dims.length], elements: dims }];
  },
};

function selectedDims({ node, inputs: [x] }: NodeContext): Dims | undefined {
  // Both are clamped to the rank and may count from the end, as in Array.slice.
  return x?.shape?.slice(intAttributeOr(node, "start", 0), intAttribute(node, "end"));
}

function slicedPositions(context: NodeContext, length: number): readonly number[] | undefined {
  const range = sliceRanges(context, [length])?.[0];
  return range && Array.from({ length: range.count }, (_, index) => range.start + index * range.step);
}
