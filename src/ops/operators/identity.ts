import { laneWise, sameConstant } from "../channels/lanewise.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";

/** y = x (ONNX Identity, opset 1 and later). dx = dy. */
export const Identity: OpDefinition = {
  type: "Identity",
  cost: noProducts,
  elements: "kept",
  shape: sameTypeAsFirstInput,
  value: ({ values: [x] }) => [x],
  channels: laneWise({ constant: sameConstant }),
  gradient: ({ outputGradients: [dy] }) => [dy],
};
