import { unaryOp } from "./elementwise.js";
import { div } from "./emit.js";

/** y = ln x (ONNX Log, opset 6 and later). dx = dy / x. */
export const Log = unaryOp("Log", { gradient: ({ b, x, dy }) => div(b, dy, x) });
