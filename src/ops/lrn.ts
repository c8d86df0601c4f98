import { type OpDefinition, sameTypeAsFirstInput } from "./definition.js";

/** Local response normalization across channels (ONNX LRN, opset 1 and later). */
export const LRN: OpDefinition = { type: "LRN", shape: sameTypeAsFirstInput };
