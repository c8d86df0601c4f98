import { laneWise, sameConstant } from "../channels/lanewise.js";
import { type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";

/** y = x (ONNX Identity, opset 1 and later). dx = dy. */
export const Identity: OpDefinition = {
  type: "Identity",
  shape: sameTypeAsFirstInput,
  value: ({ values: [x] }) => [x],
  channels: laneWise({ constant: sameConstant }),
  gradient: ({ outputGradients: [dy] }) => [dy],
};
