import { shapeError } from "../../graph/shape_error.js";
import type { Dim } from "../../graph/types.js";
import { requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts, ofConstants } from "../core/definition.js";
import { LARGEST_GENERATED } from "../core/rearrange.js";

/** start, start + delta, ... below limit (ONNX Range, opset 11). */
export const Range: OpDefinition = {
  type: "Range",
  scalars: [0, 1, 2],
  gradient: ofConstants,
  channels: absent("it reads no channels"),
  cost: noProducts,
  shape: (context) => [{ elementType: requiredInput(context, 0).elementType, shape: [rangeLength(context)] }],
  value: (context) => {
    const [start, , delta] = context.values.map((value) => value?.elements[0]);
    const length = rangeLength(context);
    const type = context.values[0]?.type;
    if (type !== "int64" && type !== "int32") return [undefined];
    if (typeof start !== "number" || typeof delta !== "number") return [undefined];
    if (typeof length !== "number" || length > LARGEST_GENERATED) return [undefined];
    return [{ type, dims: [length], elements: Array.from({ length }, (_, index) => start + index * delta) }];
  },
};

function rangeLength({ node, values }: NodeContext): Dim {
  const [start, limit, delta] = values.map((value) => value?.elements[0]);
  if (delta === 0) throw shapeError(node, "the step is zero", "a positive or negative step", "0");
  if (start === 0 && delta === 1 && typeof limit === "string") return limit;
  if (typeof start !== "number" || typeof limit !== "number" || typeof delta !== "number") return undefined;
  return Math.max(0, Math.ceil((limit - start) / delta));
}
