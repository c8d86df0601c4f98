import { elementCount, numericData } from "../../graph/tensor.js";
import { allOperands, broadcasting } from "../channels/elementwise.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { cast } from "../core/element_types.js";
import { mul, sub } from "../core/emit.js";
import { numericValue } from "../core/known_values.js";
import { broadcastType } from "../families/elementwise.js";

/**
 * y = xᵖ with broadcasting (ONNX Pow, opset 7 and later; from 12 the exponent may have another type).
 * dx = dy·p·xᵖ⁻¹; dp = dy·y·ln x, taken as 0 where x ≤ 0.
 */
export const Pow: OpDefinition = {
  type: "Pow",
  cost: noProducts,
  roundsIntegers: true,
  shape: (context) => [broadcastType(context)],
  value: numericValue(Math.pow),
  channels: broadcasting(allOperands(Math.pow)),
  gradient: (context) => {
    const { node, outputGradients, needs } = context;
    const [x, exponent] = node.inputs;
    const [y] = node.outputs;
    const [dy] = outputGradients;
    if (dy === undefined || x === undefined || exponent === undefined || y === undefined) return [];
    return [
      needs[0] === true ? baseGradient(context, x, exponent, dy) : undefined,
      needs[1] === true ? exponentGradient(context, x, y, dy) : undefined,
    ];
  },
};

function baseGradient(
  { builder: b, constant }: GradientContext,
  x: string,
  exponent: string,
  dy: string,
): string | undefined {
  const tensor = constant(exponent);
  const power = tensor !== undefined && elementCount(tensor.dims) === 1 ? numericData(tensor)[0] : undefined;
  // A zero exponent would give 0·x⁻¹, which is not a number at x = 0.
  if (power === 0) return undefined;
  if (power === 2) return mul(b, dy, mul(b, x, b.scalar(2)));
  const p = b.types.get(exponent)?.elementType === "float32" ? exponent : cast(b, exponent, "float32");
  return mul(b, dy, mul(b, p, b.emit("Pow", [x, sub(b, p, b.scalar(1))])));
}

function exponentGradient({ builder: b }: GradientContext, x: string, y: string, dy: string): string {
  const positive = b.emit("Greater", [x, b.scalar(0)]);
  const logarithm = b.emit("Log", [b.emit("Where", [positive, x, b.scalar(1)])]);
  return mul(b, dy, mul(b, y, logarithm));
}
