import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts, ofConstants } from "../core/definition.js";
import { productOfDims } from "../core/dims.js";

/** Number of elements as an int64 scalar (ONNX Size, opset 1 and later). */
export const Size: OpDefinition = {
  type: "Size",
  gradient: ofConstants,
  channels: absent("it reads no channels"),
  cost: noProducts,
  shape: () => [{ elementType: "int64", shape: [] }],
  value: ({ inputs: [x] }) => [
    x?.shape === undefined ? undefined : { type: "int64", dims: [], elements: [productOfDims(x.shape)] },
  ],
};
