import { activation } from "./channels/lanewise.js";
import { unaryOp } from "./elementwise.js";
import { add, mul } from "./emit.js";

/** y = tan x (ONNX Tan, opset 7 and later). dx = dy·(1 + y²). */
export const Tan = unaryOp("Tan", {
  channels: activation(Math.tan),
  gradient: ({ b, y, dy }) => mul(b, dy, add(b, mul(b, y, y), b.scalar(1))),
});
