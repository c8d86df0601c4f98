import { inputsOf } from "../../graph/operands.js";
import { optionalInput, withSomeInputs } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { ofIntegers } from "../core/definition.js";
import { cast } from "../core/element_types.js";
import { convCost, convShape } from "../families/conv_shape.js";
import { alongAxis, centred } from "../families/quantization.js";

/** Convolution of integers, int32, each less its zero point (ONNX ConvInteger, opset 10). */
export const ConvInteger: OpDefinition = {
  type: "ConvInteger",
  scalars: [2],
  gradient: ofIntegers,
  channels: ofIntegers,
  shape: (context) =>
    convShape(withoutZeroPoints(context)).map(({ shape }) => ({ elementType: "int32", shape })),
  cost: (context, outputs) => convCost(withoutZeroPoints(context), outputs),
  expand: (b, node) => {
    const [x, w] = inputsOf(node, 2);
    const [xZero, wZero] = [optionalInput(node, 2), optionalInput(node, 3)];
    const kernels = wZero === undefined ? undefined : alongAxis(b, node, wZero, b.dims(w), 0);
    const data = xZero === undefined ? undefined : alongAxis(b, node, xZero, b.dims(x));
    const inputs = [centred(b, x, data), centred(b, w, kernels)];
    return [cast(b, b.emit("Conv", inputs, { attributes: Object.fromEntries(node.attributes) }), "int32")];
  },
};

const withoutZeroPoints = (context: NodeContext): NodeContext => withSomeInputs(context, [0, 1]);
