import { wall } from "../core/channels.js";
import { type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";

/** The beginnings of sequences, of given lengths, turned round (ONNX ReverseSequence, opset 10 and later). */
export const ReverseSequence: OpDefinition = {
  type: "ReverseSequence",
  shape: sameTypeAsFirstInput,
  channels: () => wall("it turns sequences round"),
};
