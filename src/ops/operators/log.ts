import { activation } from "../channels/lanewise.js";
import { div } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = ln x (ONNX Log, opset 6 and later). dx = dy / x. */
export const Log = unaryOp("Log", {
  channels: activation(Math.log),
  gradient: ({ b, x, dy }) => div(b, dy, x),
});
