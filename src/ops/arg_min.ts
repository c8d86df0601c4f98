import { ArgMax } from "./arg_max.js";
import type { OpDefinition } from "./definition.js";
import { neg } from "./emit.js";

/** int64 index of the minimum along one axis, default 0 (ONNX ArgMin, opset 1 and later). */
export const ArgMin: OpDefinition = {
  ...ArgMax,
  type: "ArgMin",
  expand: (b, { inputs: [x = ""], attributes }) => [
    b.emit("ArgMax", [neg(b, x)], { attributes: Object.fromEntries(attributes) }),
  ],
};
