import { type OpDefinition, sameTypeAsFirstInput } from "./definition.js";

/** Normalization over the pixels of each sample and channel (ONNX InstanceNormalization, opset 6 and later). */
export const InstanceNormalization: OpDefinition = {
  type: "InstanceNormalization",
  shape: sameTypeAsFirstInput,
};
