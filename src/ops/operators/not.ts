import { laneWise } from "../channels/lanewise.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { numericValue } from "../core/known_values.js";
import { noGradient } from "../families/elementwise.js";

/** The opposite of a bool (ONNX Not, opset 1 and later). */
export const Not: OpDefinition = {
  type: "Not",
  cost: noProducts,
  shape: sameTypeAsFirstInput,
  value: numericValue((x) => (x === 0 ? 1 : 0)),
  channels: laneWise(),
  gradient: noGradient,
};
