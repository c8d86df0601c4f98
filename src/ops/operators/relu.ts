import { activation } from "../channels/lanewise.js";
import { clipGradient } from "../composites/clip_gradient.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";

/** y = max(x, 0) (ONNX Relu, opset 6 and later). */
export const Relu: OpDefinition = {
  type: "Relu",
  cost: noProducts,
  onBlocks: true,
  neverNegative: true,
  shape: sameTypeAsFirstInput,
  channels: activation((x) => Math.max(x, 0)),
  // dx = dy where y > 0, else 0.
  gradient: ({ builder, node: { outputs }, outputGradients: [dy] }) => {
    const [y] = outputs;
    if (dy === undefined || y === undefined) return [undefined];
    return [clipGradient(builder, dy, y, { low: 0, high: Infinity })];
  },
};
