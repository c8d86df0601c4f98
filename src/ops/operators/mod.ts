import { intAttribute } from "../../graph/attributes.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts } from "../core/definition.js";
import { div, mul, neg, sub } from "../core/emit.js";
import { numericValue } from "../core/known_values.js";
import { broadcastType } from "../families/elementwise.js";

/**
 * Remainder with broadcasting (ONNX Mod, opset 10 and later): with the sign of the divisor, or with `fmod` of the
 * dividend. y = a - q·b with the whole number q = (a - y) / b: da = dy, db = -dy·q.
 */
export const Mod: OpDefinition = {
  type: "Mod",
  channels: absent("no rule is written: all its channels stay"),
  cost: noProducts,
  roundsIntegers: true,
  shape: (context) => [broadcastType(context)],
  value: (context) => numericValue(intAttribute(context.node, "fmod") === 1 ? remainder : modulo)(context),
  gradient: ({ builder: b, node, outputGradients: [dy], needs }) => {
    const [left, right] = node.inputs;
    const [y] = node.outputs;
    if (dy === undefined || left === undefined || right === undefined || y === undefined) return [];
    const quotient = (): string => div(b, sub(b, left, y), right);
    return [dy, needs[1] === true ? neg(b, mul(b, dy, quotient())) : undefined];
  },
};

const remainder = (left: number, right: number): number => left % right;
const modulo = (left: number, right: number): number => left - Math.floor(left / right) * right;
