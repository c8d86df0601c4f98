import { intAttributeOr } from "../../graph/attributes.js";
import { normalizeAxis, requiredInput } from "../core/arguments.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts } from "../core/definition.js";

/**
 * One-hot encoding (ONNX OneHot, opset 9 and later): indices [...], depth (a scalar or [1]), values [2] ->
 * the indices' shape with an axis of size depth inserted at `axis` (default -1, the last).
 */
export const OneHot: OpDefinition = {
  type: "OneHot",
  scalars: [1],
  gradient: absent("its result does not change with its inputs but in jumps"),
  channels: absent("its channels are classes"),
  cost: noProducts,
  shape: (context) => {
    const {
      node,
      inputs: [indices],
      values: [, depth],
    } = context;
    const { elementType } = requiredInput(context, 2);
    if (indices?.shape === undefined) return [{ elementType, shape: undefined }];
    const axis = normalizeAxis(node, intAttributeOr(node, "axis", -1), indices.shape.length + 1);
    return [{ elementType, shape: indices.shape.toSpliced(axis, 0, depth?.elements[0]) }];
  },
};
