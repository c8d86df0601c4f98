import { at, orDefault } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import { normalizeAxis } from "../../ops/core/arguments.js";
import { runningSumKernel } from "../kernels/cumulate.js";
import { gatherKernel } from "../kernels/gather.js";
import { topKKernel } from "../kernels/top_k.js";
import { lowerGather as lowerConstantGather } from "./axis_maps.js";
import type { Lower, LoweringContext } from "./definition.js";
import { notConstant } from "./errors.js";

// Operators that find elements, or go along an axis.

/** An array around one of its axes: [outer, size, inner]. */
function aroundAxis(
  { node }: LoweringContext,
  dims: readonly number[],
  stated: number,
): { readonly axis: number; readonly outer: number; readonly size: number; readonly inner: number } {
  const axis = normalizeAxis(node, stated, dims.length);
  return {
    axis,
    outer: elementCount(dims.slice(0, axis)),
    size: at(dims, axis),
    inner: elementCount(dims.slice(axis + 1)),
  };
}

export const lowerTopK: Lower = (context) => {
  const { node, width } = context;
  const dims = context.inputDims(0);
  const { axis, ...run } = aroundAxis(context, dims, orDefault(intAttribute(node, "axis"), -1));
  const shown = context.hasOutput(0) ? 0 : 1;
  const count = at(context.outputDims(shown), axis);
  const size = elementCount(context.outputDims(shown));
  const place = (index: number) => (context.hasOutput(index) ? context.write(index) : context.scratch(size));
  const order = intAttribute(node, "largest") === 0 ? "smallest" : "largest";
  const [input, values, positions] = [context.read(0), place(0), place(1)];
  if (size > 0) context.call(topKKernel({ ...run, count, order }, width), [input, values, positions]);
};

export const lowerCumSum: Lower = (context) => {
  const stated = context.constantData(1)?.[0];
  if (stated === undefined) throw notConstant(context, "axis");
  const { axis: _, ...run } = aroundAxis(context, context.inputDims(0), stated);
  const exclusive = intAttribute(context.node, "exclusive") === 1;
  const reverse = intAttribute(context.node, "reverse") === 1;
  context.call(runningSumKernel({ ...run, exclusive, reverse }, context.width), [
    context.read(0),
    context.write(),
  ]);
};

/** Gather by constant or by computed indices. */
export const lowerGather: Lower = (context) => {
  if (context.constant(1) !== undefined) return lowerConstantGather(context);
  const { node, width } = context;
  const { axis: _, ...run } = aroundAxis(
    context,
    context.inputDims(0),
    orDefault(intAttribute(node, "axis"), 0),
  );
  const count = elementCount(context.inputDims(1));
  if (elementCount(context.outputDims()) === 0) return context.alias(context.write());
  context.call(gatherKernel({ ...run, count }, width), [context.read(0), context.read(1), context.write()]);
};
