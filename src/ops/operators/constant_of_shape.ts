import { tensorAttribute } from "../../graph/attributes.js";
import { elementCount, numericData } from "../../graph/tensor.js";
import { intsArgument, partlyKnown } from "../core/arguments.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts, ofConstants } from "../core/definition.js";
import { isStatic } from "../core/dims.js";
import { LARGEST_GENERATED } from "../core/rearrange.js";

/** A tensor of the given dimensions filled with one value, float32 0 by default (ONNX ConstantOfShape, opset 9 and later). */
export const ConstantOfShape: OpDefinition = {
  type: "ConstantOfShape",
  gradient: ofConstants,
  channels: absent("it reads no channels"),
  cost: noProducts,
  shape: (context) => [
    {
      elementType: tensorAttribute(context.node, "value")?.type ?? "float32",
      shape: partlyKnown(intsArgument(context, 0, "shape")),
    },
  ],
  value: ({ node, values: [dims] }) => {
    const shape = dims?.elements;
    if (!isStatic(shape) || elementCount(shape) > LARGEST_GENERATED) return [undefined];
    const fill = tensorAttribute(node, "value");
    const element = fill === undefined ? 0 : numericData(fill)[0];
    const elements = Array.from({ length: elementCount(shape) }, () => element);
    return [{ type: fill?.type ?? "float32", dims: shape, elements }];
  },
};
