import { stringAttribute } from "../../graph/attributes.js";
import { inputsOf } from "../../graph/operands.js";
import { checkRank } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { reshape } from "../core/emit.js";
import { namedBlocks, scatterRows } from "../families/indexing.js";
import { scatterGradient } from "../families/scatter_gradient.js";

/**
 * x with blocks replaced, by index vectors (ONNX ScatterND, opset 11 and later; reductions from 16). What is overwritten
 * gets no gradient; updates get that of where they went.
 */
export const ScatterND: OpDefinition = {
  type: "ScatterND",
  cost: noProducts,
  shape: (context) => {
    checkRank(context, 1, 1, Infinity);
    return sameTypeAsFirstInput(context);
  },
  channels: () => wall("its indices may lead from any channel to any other"),
  gradient: scatterGradient({ scatter: "ScatterND", gather: "GatherND" }),
  expand: (b, node) => {
    const [x, indices, updates] = inputsOf(node, 3);
    const dims = b.dims(x);
    const { rows, count, size } = namedBlocks(b, node, indices, dims);
    const parts = {
      data: reshape(b, x, [count, size]),
      updates: reshape(b, updates, [-1, size]),
      targets: rows,
    };
    return [reshape(b, scatterRows(b, node, parts, stringAttribute(node, "reduction") ?? "none"), dims)];
  },
};
