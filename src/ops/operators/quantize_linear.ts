import { inputsOf } from "../../graph/operands.js";
import { optionalInput, requiredInput } from "../core/arguments.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts, ofIntegers } from "../core/definition.js";
import { div } from "../core/emit.js";
import { alongAxis, asIntegers, quantizedType } from "../families/quantization.js";

/** y = saturate(round(x / scale) + zero point), halves to even (ONNX QuantizeLinear, opset 10 and later). */
export const QuantizeLinear: OpDefinition = {
  type: "QuantizeLinear",
  gradient: ofIntegers,
  channels: ofIntegers,
  cost: noProducts,
  shape: (context) => [
    {
      elementType: quantizedType(context.node, context.inputs[2]?.elementType),
      shape: requiredInput(context, 0).shape,
    },
  ],
  expand: (b, node) => {
    const [x, scale] = inputsOf(node, 2);
    const dims = b.dims(x);
    const zero = optionalInput(node, 2);
    const type = quantizedType(node, zero === undefined ? undefined : b.types.get(zero)?.elementType);
    const shift = zero === undefined ? undefined : alongAxis(b, node, zero, dims);
    return [asIntegers(b, node, div(b, x, alongAxis(b, node, scale, dims)), shift, type)];
  },
};
