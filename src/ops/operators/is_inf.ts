import { laneWise } from "../channels/lanewise.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { noGradient } from "../families/elementwise.js";

/** Whether each element is infinite, as bool (ONNX IsInf, opset 10 and later). */
export const IsInf: OpDefinition = {
  type: "IsInf",
  cost: noProducts,
  shape: ({ inputs: [x] }) => [{ elementType: "bool", shape: x?.shape }],
  channels: laneWise(),
  gradient: noGradient,
};
