import { intAttributeOr } from "../../graph/attributes.js";
import { searchChannels } from "../channels/pooling.js";
import { normalizeAxis, requiredInput } from "../core/arguments.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { noGradient } from "../families/elementwise.js";

/** int64 index of the maximum along one axis, default 0 (ONNX ArgMax, opset 1 and later). */
export const ArgMax: OpDefinition = {
  type: "ArgMax",
  cost: noProducts,
  shape: (context) => {
    const { node } = context;
    const { shape } = requiredInput(context, 0);
    if (shape === undefined) return [{ elementType: "int64", shape }];
    const axis = normalizeAxis(node, intAttributeOr(node, "axis", 0), shape.length);
    const size = intAttributeOr(node, "keepdims", 1) === 0 ? [] : [1];
    return [{ elementType: "int64", shape: shape.toSpliced(axis, 1, ...size) }];
  },
  channels: searchChannels((node, rank) => normalizeAxis(node, intAttributeOr(node, "axis", 0), rank)),
  gradient: noGradient,
};
