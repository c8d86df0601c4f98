import { intAttribute } from "../graph/attributes.js";
import { frontAxis } from "./axes.js";
import { type OpDefinition, shapeError } from "./definition.js";

/**
 * One-hot encoding (ONNX OneHot, opset 9 and later): indices [...], depth (a scalar or [1]), values [2] ->
 * the indices' shape with an axis of size depth inserted at `axis` (default -1, the last).
 */
export const OneHot: OpDefinition = {
  type: "OneHot",
  shape: ({ node, inputs: [indices, , choices], values: [, depth] }) => {
    if (choices === undefined) throw shapeError(node, "the type of the values is unknown");
    const { elementType } = choices;
    if (indices?.shape === undefined) return [{ elementType, shape: undefined }];
    const axis = frontAxis(node, intAttribute(node, "axis") ?? -1, indices.shape.length + 1);
    return [{ elementType, shape: indices.shape.toSpliced(axis, 0, depth?.elements[0]) }];
  },
};
