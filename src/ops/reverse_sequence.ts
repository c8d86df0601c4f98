import { wall } from "./channels.js";
import { type OpDefinition, sameTypeAsFirstInput } from "./definition.js";

/** The beginnings of sequences, of given lengths, turned round (ONNX ReverseSequence, opset 10 and later). */
export const ReverseSequence: OpDefinition = {
  type: "ReverseSequence",
  shape: sameTypeAsFirstInput,
  channels: () => wall("it turns sequences round"),
};
