import { activation } from "../channels/lanewise.js";
import { add, mul } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = tan x (ONNX Tan, opset 7 and later). dx = dy·(1 + y²). */
export const Tan = unaryOp("Tan", {
  channels: activation(Math.tan),
  gradient: ({ b, y, dy }) => mul(b, dy, add(b, mul(b, y, y), b.scalar(1))),
});
