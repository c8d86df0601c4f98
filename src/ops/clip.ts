import { type OpDefinition, sameTypeAsFirstInput } from "./definition.js";
import { unaryGradient } from "./elementwise.js";

/**
 * y = min(max(x, low), high), with the bounds as attributes (ONNX Clip, opset 6 to 10) or as optional inputs
 * (opset 11 and later). dx = dy·[low ≤ x ≤ high], which is where y equals x; the bounds get no gradient.
 */
export const Clip: OpDefinition = {
  type: "Clip",
  shape: sameTypeAsFirstInput,
  gradient: unaryGradient(({ b, x, y, dy }) => b.emit("Where", [b.emit("Equal", [x, y]), dy, b.scalar(0)])),
};
