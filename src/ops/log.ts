import { activation } from "./channels/lanewise.js";
import { unaryOp } from "./elementwise.js";
import { div } from "./emit.js";

/** y = ln x (ONNX Log, opset 6 and later). dx = dy / x. */
export const Log = unaryOp("Log", {
  channels: activation(Math.log),
  gradient: ({ b, x, dy }) => div(b, dy, x),
});
