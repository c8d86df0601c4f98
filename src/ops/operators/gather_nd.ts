import { last } from "../../graph/at.js";
import { intAttributeOr, text } from "../../graph/attributes.js";
import { inputsOf } from "../../graph/operands.js";
import { shapeError } from "../../graph/shape_error.js";
import type { ValueType } from "../../graph/types.js";
import { checkRank, requiredInput } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import type { NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { reshape } from "../core/emit.js";
import { unsupportedForm } from "../core/unsupported_form.js";
import { namedBlocks } from "../families/indexing.js";
import { zerosLike } from "../families/scatter_gradient.js";

/** Blocks of x by index vectors (ONNX GatherND, opset 11 and later; batch_dims from 12). */
export const GatherND: OpDefinition = {
  type: "GatherND",
  cost: noProducts,
  elements: "moved",
  shape: (context) => [gatheredType(context)],
  channels: () => wall("its indices may lead from any channel to any other"),
  gradient: (context) => [gatherGradient(context)],
  expand: (b, node) => {
    const [x, indices] = inputsOf(node, 2);
    const batchDims = intAttributeOr(node, "batch_dims", 0);
    const [dims, indexDims] = [b.dims(x), b.dims(indices)];
    const { rows, count, size } = namedBlocks(b, node, indices, dims, batchDims);
    const taken = b.emit("Gather", [reshape(b, x, [count, size]), rows]);
    const block = dims.slice(batchDims + last(indexDims));
    return [reshape(b, taken, [...indexDims.slice(0, -1), ...block])];
  },
};

function gatheredType(context: NodeContext): ValueType {
  const { node } = context;
  checkRank(context, 1, 1, Infinity);
  const { elementType, shape } = requiredInput(context, 0);
  const indices = requiredInput(context, 1).shape;
  const depth = indices?.at(-1);
  if (shape === undefined || indices === undefined || typeof depth !== "number") {
    return { elementType, shape: undefined };
  }
  const behind = intAttributeOr(node, "batch_dims", 0) + depth;
  if (behind > shape.length) {
    throw shapeError(node, "the index vectors are longer than the rank", `${shape.length}`, `${behind}`);
  }
  return { elementType, shape: [...indices.slice(0, -1), ...shape.slice(behind)] };
}

function gatherGradient(context: GradientContext): string | undefined {
  const { node, builder: b } = context;
  const [dy] = context.outputGradients;
  const [x, indices] = node.inputs;
  if (dy === undefined || x === undefined || indices === undefined) return undefined;
  if (intAttributeOr(node, "batch_dims", 0) > 0)
    throw unsupportedForm(node, "gradient", "batch_dims 0", "more");
  return b.emit("ScatterND", [zerosLike(context, x), indices, dy], {
    attributes: { reduction: text("add") },
  });
}
