import { inputsOf } from "../../graph/operands.js";
import { optionalInput, requiredInput, withSomeInputs } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { ofIntegers } from "../core/definition.js";
import { cast } from "../core/element_types.js";
import { add, mul, reshape } from "../core/emit.js";
import { convCost, convShape } from "../families/conv_shape.js";
import { alongAxis, asIntegers, centred, outputFactor } from "../families/quantization.js";

/**
 * Convolution of quantized numbers, quantized again (ONNX QLinearConv, opset 10): x, its scale and zero point, w [K, ...]
 * with its own, those of the result, and a bias [K] of int32 in units of x's scale times w's.
 */
export const QLinearConv: OpDefinition = {
  type: "QLinearConv",
  scalars: [1, 2, 6, 7],
  gradient: ofIntegers,
  channels: ofIntegers,
  shape: (context) =>
    convShape(dataAndKernels(context)).map(({ shape }) => ({
      elementType: requiredInput(context, 7).elementType,
      shape,
    })),
  cost: (context, outputs) => convCost(dataAndKernels(context), outputs),
  expand: (b, node) => {
    const [x, xScale, xZero, w, wScale, wZero, yScale, yZero] = inputsOf(node, 8);
    const kernels = centred(b, w, alongAxis(b, node, wZero, b.dims(w), 0));
    const data = centred(b, x, alongAxis(b, node, xZero, b.dims(x)));
    const sums = b.emit("Conv", [data, kernels], { attributes: Object.fromEntries(node.attributes) });
    const dims = b.dims(sums);
    const perChannel = (name: string): string =>
      reshape(
        b,
        name,
        dims.map((_, axis) => (axis === 1 ? -1 : 1)),
      );
    const bias = optionalInput(node, 8);
    const shifted = bias === undefined ? sums : add(b, sums, perChannel(cast(b, bias, "float32")));
    const factor = perChannel(outputFactor(b, xScale, wScale, yScale));
    const type = b.types.get(yZero)?.elementType ?? "uint8";
    return [asIntegers(b, node, mul(b, shifted, factor), alongAxis(b, node, yZero, dims), type)];
  },
};

const dataAndKernels = (context: NodeContext): NodeContext => withSomeInputs(context, [0, 3]);
