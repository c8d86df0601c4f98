import { optionalInput, withSomeInputs } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { cast } from "../core/element_types.js";
import { alongAxis, centred } from "../families/quantization.js";
import { Conv } from "./conv.js";

/** Convolution of integers, int32, each less its zero point (ONNX ConvInteger, opset 10). */
export const ConvInteger: OpDefinition = {
  type: "ConvInteger",
  shape: (context) =>
    Conv.shape(withoutZeroPoints(context)).map(({ shape }) => ({ elementType: "int32", shape })),
  cost: (context, outputs) => Conv.cost?.(withoutZeroPoints(context), outputs) ?? 0,
  expand: (b, node) => {
    const [x = "", w = ""] = node.inputs;
    const [xZero, wZero] = [optionalInput(node, 2), optionalInput(node, 3)];
    const kernels = wZero === undefined ? undefined : alongAxis(b, node, wZero, b.dims(w), 0);
    const data = xZero === undefined ? undefined : alongAxis(b, node, xZero, b.dims(x));
    const inputs = [centred(b, x, data), centred(b, w, kernels)];
    return [cast(b, b.emit("Conv", inputs, { attributes: Object.fromEntries(node.attributes) }), "int32")];
  },
};

const withoutZeroPoints = (context: NodeContext): NodeContext => withSomeInputs(context, [0, 1]);
