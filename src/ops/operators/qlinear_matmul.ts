import { inputsOf } from "../../graph/operands.js";
import { requiredInput, withSomeInputs } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { ofIntegers } from "../core/definition.js";
import { matMul, mul } from "../core/emit.js";
import { matMulCost, matMulShape } from "../families/matrix_shape.js";
import { asIntegers, centred, outputFactor } from "../families/quantization.js";
import { ofRows } from "./matmul_integer.js";

/** Product of quantized matrices, quantized again (ONNX QLinearMatMul, opset 10): each with its scale and zero point. */
export const QLinearMatMul: OpDefinition = {
  type: "QLinearMatMul",
  gradient: ofIntegers,
  channels: ofIntegers,
  shape: (context) =>
    matMulShape(factors(context)).map(({ shape }) => ({
      elementType: requiredInput(context, 7).elementType,
      shape,
    })),
  cost: (context, outputs) => matMulCost(factors(context), outputs),
  expand: (b, node) => {
    const [a, aScale, aZero, c, cScale, cZero, yScale, yZero] = inputsOf(node, 8);
    const sums = matMul(b, centred(b, a, ofRows(b, aZero)), centred(b, c, cZero));
    const factor = outputFactor(b, ofRows(b, aScale), cScale, yScale);
    const type = b.types.get(yZero)?.elementType ?? "uint8";
    return [asIntegers(b, node, mul(b, sums, factor), yZero, type)];
  },
};

const factors = (context: NodeContext): NodeContext => withSomeInputs(context, [0, 3]);
