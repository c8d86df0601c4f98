import { laneWise } from "../channels/lanewise.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { noGradient } from "../families/elementwise.js";

/** Whether each element is no number, as bool (ONNX IsNaN, opset 9 and later). */
export const IsNaN: OpDefinition = {
  type: "IsNaN",
  cost: noProducts,
  shape: ({ inputs: [x] }) => [{ elementType: "bool", shape: x?.shape }],
  channels: laneWise(),
  gradient: noGradient,
};
