import { inputsOf } from "../../graph/operands.js";
import { optionalInput, withSomeInputs } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { ofIntegers } from "../core/definition.js";
import { cast } from "../core/element_types.js";
import { matMul, reshape } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { matMulCost, matMulShape } from "../families/matrix_shape.js";
import { centred } from "../families/quantization.js";

/** Product of integer matrices, int32, each less its zero point (ONNX MatMulInteger, opset 10). */
export const MatMulInteger: OpDefinition = {
  type: "MatMulInteger",
  gradient: ofIntegers,
  channels: ofIntegers,
  shape: (context) => matMulShape(factors(context)).map(({ shape }) => ({ elementType: "int32", shape })),
  cost: (context, outputs) => matMulCost(factors(context), outputs),
  expand: (b, node) => {
    const [left, right] = inputsOf(node, 2);
    const [leftZero, rightZero] = [optionalInput(node, 2), optionalInput(node, 3)];
    const rows = leftZero === undefined ? undefined : ofRows(b, leftZero);
    return [cast(b, matMul(b, centred(b, left, rows), centred(b, right, rightZero)), "int32")];
  },
};

const factors = (context: NodeContext): NodeContext => withSomeInputs(context, [0, 1]);

/** A number for each row of the left factor stands in a column; those of the right one's columns already lie so. */
export function ofRows(b: Emitter, name: string): string {
  const [rows, ...more] = b.dims(name);
  return rows === undefined || rows === 1 || more.length > 0 ? name : reshape(b, name, [rows, 1]);
}
