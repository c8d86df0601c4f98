import { laneWise } from "../channels/lanewise.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { numericValue } from "../core/known_values.js";
import { noGradient } from "../families/elementwise.js";

/** y = -1, 0 or 1 (ONNX Sign, opset 9 and later). Its derivative is zero almost everywhere. */
export const Sign: OpDefinition = {
  type: "Sign",
  cost: noProducts,
  shape: sameTypeAsFirstInput,
  value: numericValue(Math.sign),
  // A constant that is computed may be 0 where the runtime finds a little more: its sign is not known.
  channels: laneWise(),
  gradient: noGradient,
};
