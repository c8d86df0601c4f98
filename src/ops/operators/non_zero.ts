import { requiredInput } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts } from "../core/definition.js";
import { noGradient } from "../families/elementwise.js";

/** The int64 positions of what is not zero, [rank, count]: how many depends on the data (ONNX NonZero, opset 9 and later). */
export const NonZero: OpDefinition = {
  type: "NonZero",
  cost: noProducts,
  notCompiled: absent("how large its result is, is not known before it runs"),
  countsData: true,
  shape: (context) => {
    const { shape } = requiredInput(context, 0);
    return [
      {
        elementType: "int64",
        shape: [shape === undefined ? undefined : Math.max(1, shape.length), undefined],
      },
    ];
  },
  channels: () => wall("its result depends on the data"),
  gradient: noGradient,
};
