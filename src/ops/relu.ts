import { activation } from "./channels/lanewise.js";
import { type OpDefinition, sameTypeAsFirstInput } from "./definition.js";
import { mul } from "./emit.js";

/** y = max(x, 0) (ONNX Relu, opset 6 and later). */
export const Relu: OpDefinition = {
  type: "Relu",
  shape: sameTypeAsFirstInput,
  channels: activation((x) => Math.max(x, 0)),
  // dx = dy * sign(y): y is never negative, so its sign is the 0/1 mask of the active elements.
  gradient: ({ builder, node: { outputs }, outputGradients: [dy] }) => {
    const [y] = outputs;
    if (dy === undefined || y === undefined) return [undefined];
    return [mul(builder, dy, builder.emit("Sign", [y]))];
  },
};
