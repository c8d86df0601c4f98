import { inputsOf } from "../../graph/operands.js";
import { optionalInput, requiredInput } from "../core/arguments.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts, ofIntegers } from "../core/definition.js";
import { mul } from "../core/emit.js";
import { alongAxis, centred, checkHeld } from "../families/quantization.js";

/** y = (x - zero point) * scale (ONNX DequantizeLinear, opset 10 and later). */
export const DequantizeLinear: OpDefinition = {
  type: "DequantizeLinear",
  gradient: ofIntegers,
  channels: ofIntegers,
  cost: noProducts,
  shape: (context) => [
    { elementType: requiredInput(context, 1).elementType, shape: requiredInput(context, 0).shape },
  ],
  expand: (b, node) => {
    const [x, scale] = inputsOf(node, 2);
    checkHeld(b, node, x);
    const dims = b.dims(x);
    const zero = optionalInput(node, 2);
    const shift = zero === undefined ? undefined : alongAxis(b, node, zero, dims);
    return [mul(b, centred(b, x, shift), alongAxis(b, node, scale, dims))];
  },
};
