import { intAttribute } from "../graph/attributes.js";
import { normalizeAxis, requiredInput } from "./arguments.js";
import type { OpDefinition } from "./definition.js";

/** Normalization over the axes from `axis` on (ONNX LayerNormalization, opset 17): Y, Mean, InvStdDev. */
export const LayerNormalization: OpDefinition = {
  type: "LayerNormalization",
  shape: (context) => {
    const { node } = context;
    const x = requiredInput(context, 0);
    const { shape } = x;
    if (shape === undefined) return [x];
    const axis = normalizeAxis(node, intAttribute(node, "axis") ?? -1, shape.length);
    const statistics = { elementType: x.elementType, shape: shape.map((dim, at) => (at < axis ? dim : 1)) };
    return [x, statistics, statistics];
  },
};
