import { wall } from "../core/channels.js";
import { absent, noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";

/** The beginnings of sequences, of given lengths, turned round (ONNX ReverseSequence, opset 10 and later). */
export const ReverseSequence: OpDefinition = {
  type: "ReverseSequence",
  gradient: absent("no rule is written: what lies before it is not trained"),
  cost: noProducts,
  notCompiled: absent("no loops are written for it"),
  elements: "moved",
  shape: sameTypeAsFirstInput,
  channels: () => wall("it turns sequences round"),
};
