import { unaryOp } from "./elementwise.js";
import { mul } from "./emit.js";

/** y = eˣ (ONNX Exp, opset 6 and later). dx = dy·y. */
export const Exp = unaryOp("Exp", { gradient: ({ b, y, dy }) => mul(b, dy, y) });
