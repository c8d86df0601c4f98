import { int, intAttributeOr, stringAttribute } from "../../graph/attributes.js";
import { inputsOf } from "../../graph/operands.js";
import { normalizeAxis } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { reshape } from "../core/emit.js";
import { elementPositions, scatterRows } from "../families/indexing.js";
import { scatterGradient } from "../families/scatter_gradient.js";

/**
 * x with y[index[i, j, ...], j, ...] = update[i, j, ...] along one axis, default 0 (ONNX ScatterElements, opset 11 and
 * later; reductions from 16). What is overwritten gets no gradient; updates get that of where they went.
 */
export const ScatterElements: OpDefinition = {
  type: "ScatterElements",
  cost: noProducts,
  shape: sameTypeAsFirstInput,
  channels: () => wall("its indices may lead from any channel to any other"),
  gradient: scatterGradient({
    scatter: "ScatterElements",
    gather: "GatherElements",
    attributes: (node) => ({ axis: int(intAttributeOr(node, "axis", 0)) }),
  }),
  expand: (b, node) => {
    const [x, indices, updates] = inputsOf(node, 3);
    const dims = b.dims(x);
    const axis = normalizeAxis(node, intAttributeOr(node, "axis", 0), dims.length);
    const targets = elementPositions(b, node, indices, dims, axis);
    const parts = { data: reshape(b, x, [-1, 1]), updates: reshape(b, updates, [-1, 1]), targets };
    return [reshape(b, scatterRows(b, node, parts, stringAttribute(node, "reduction") ?? "none"), dims)];
  },
};
