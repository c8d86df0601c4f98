import { wall } from "../core/channels.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts } from "../core/definition.js";
import { noGradient } from "../families/elementwise.js";

/** Boxes that no better one overlaps, int64 [count, 3]: how many depends on the data (ONNX NonMaxSuppression, opset 10 and later). */
export const NonMaxSuppression: OpDefinition = {
  type: "NonMaxSuppression",
  scalars: [2, 3, 4],
  cost: noProducts,
  notCompiled: absent("how large its result is, is not known before it runs"),
  countsData: true,
  shape: () => [{ elementType: "int64", shape: [undefined, 3] }],
  channels: () => wall("its result depends on the data"),
  gradient: noGradient,
};
