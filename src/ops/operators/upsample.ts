import { floatsAttribute } from "../../graph/attributes.js";
import { resizeChannels } from "../channels/resizing.js";
import { requiredInput, unknownDims } from "../core/arguments.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts } from "../core/definition.js";
import { scaledShape } from "../core/scaling.js";

/** Enlargement by given scales (ONNX Upsample; scales as attribute in opset 7, as input in 9; Resize since 10). */
export const Upsample: OpDefinition = {
  type: "Upsample",
  gradient: absent("it is read as Resize, which has one"),
  cost: noProducts,
  notCompiled: absent("it is read as Resize, which is"),
  elements: "interpolated",
  constants: { trained: [], settings: [1] },
  shape: (context) => {
    const { elementType, shape } = requiredInput(context, 0);
    if (shape === undefined) return [{ elementType, shape }];
    const scales = context.values[1]?.elements ?? floatsAttribute(context.node, "scales");
    return [
      { elementType, shape: scales === undefined ? unknownDims(shape.length) : scaledShape(shape, scales) },
    ];
  },
  channels: resizeChannels,
};
