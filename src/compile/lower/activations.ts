import { orDefault, present } from "../../graph/at.js";
import { floatAttribute, intAttribute, stringAttribute } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { elementTypeOfCode, isFloat, isInteger } from "../../ops/core/element_types.js";
import { constant, multiplyAdd, select, unary } from "../kernel_builder.js";
import { bounded } from "../kernels/epilogue.js";
import {
  add,
  divide,
  errorFunction,
  exponential,
  exponentialMinusOne,
  hyperbolicTangent,
  logarithm,
  logistic,
  magnitude,
  multiply,
  once,
  type Place,
  softplus,
  subtract,
} from "../kernels/functions.js";
import { arcCosine, arcSine, arcTangent, cosine, sine } from "../kernels/trigonometry.js";
import type { UnaryOp, Value } from "../loops.js";
import type { UnaryFunction } from "./elementwise.js";

// Functions of one number.

const zero = constant(0);
const one = constant(1);

const parameter = (node: Node, name: string, absent: number): Value =>
  constant(orDefault(floatAttribute(node, name), absent));

const single = (op: UnaryOp): UnaryFunction => {
  return (_, [x]) => unary(op, x);
};

const below = (x: Value, ifNegative: Value, otherwise: Value): Value =>
  select(x, "less", zero, ifNegative, otherwise);

/** x (1 + t) / 2. */
const gated = (x: Value, t: Value): Value => multiply(multiply(x, constant(0.5)), add(one, t));

function gelu(place: Place, x: Value, node: Node): Value {
  if (stringAttribute(node, "approximate") !== "tanh") {
    return gated(x, errorFunction(place, multiply(x, constant(Math.SQRT1_2))));
  }
  const factor = Math.sqrt(2 / Math.PI);
  const square = once(place, multiply(x, x));
  const slope = multiplyAdd(square, constant(0.044715 * factor), constant(factor));
  return gated(x, hyperbolicTangent(place, multiply(x, slope)));
}

/** From here on tanh(ln(1 + e^x)) is 1 in float32, and e^2x may overflow further on. */
const SATURATED_MISH = 20;

/** x tanh(ln(1 + e^x)) = x (e^2x + 2 e^x) / (e^2x + 2 e^x + 2). */
function mish(place: Place, x: Value): Value {
  const e = exponential(place, x);
  const grown = once(place, multiply(e, add(e, constant(2))));
  const curved = multiply(x, divide(grown, add(grown, constant(2))));
  return select(constant(SATURATED_MISH), "less", x, x, curved);
}

function cast(x: Value, node: Node): Value {
  const type = elementTypeOfCode(present(intAttribute(node, "to"), "the type of a Cast"));
  if (type === "bool") return select(x, "notEqual", zero, one, zero);
  return isInteger(type) ? unary("truncate", x) : x;
}

/** Whether `cast` can make this type. */
export function isCastable(node: Node): boolean {
  const type = elementTypeOfCode(present(intAttribute(node, "to"), "the type of a Cast"));
  return type === "bool" || isInteger(type) || isFloat(type);
}

const hardSigmoid = (x: Value, slope: Value, offset: Value): Value =>
  bounded(multiplyAdd(x, slope, offset), { low: 0, high: 1 });

/** Operators of one input, by name. */
export const activations = {
  Abs: single("absolute"),
  Acos: (place, [x]) => arcCosine(place, x),
  Asin: (place, [x]) => arcSine(place, x),
  Atan: (place, [x]) => arcTangent(place, x),
  Cast: (_, [x], { node }) => cast(x, node),
  Ceil: single("ceil"),
  Celu: (place, [x], { node }) => {
    const alpha = parameter(node, "alpha", 1);
    return below(x, multiply(alpha, exponentialMinusOne(place, divide(x, alpha))), x);
  },
  Cos: (place, [x]) => cosine(place, x),
  Elu: (place, [x], { node }) =>
    below(x, multiply(parameter(node, "alpha", 1), exponentialMinusOne(place, x)), x),
  Erf: (place, [x]) => errorFunction(place, x),
  Exp: (place, [x]) => exponential(place, x),
  Floor: single("floor"),
  Gelu: (place, [x], { node }) => gelu(place, x, node),
  HardSigmoid: (_, [x], { node }) =>
    hardSigmoid(x, parameter(node, "alpha", 0.2), parameter(node, "beta", 0.5)),
  HardSwish: (_, [x]) => multiply(x, hardSigmoid(x, constant(1 / 6), constant(0.5))),
  IsInf: (_, [x], { node }) => {
    const detects = (name: string): Value => constant(orDefault(intAttribute(node, name), 1));
    const [low, high] = [detects("detect_negative"), detects("detect_positive")];
    const below = select(x, "equal", constant(Number.NEGATIVE_INFINITY), low, zero);
    return select(x, "equal", constant(Number.POSITIVE_INFINITY), high, below);
  },
  IsNaN: (_, [x]) => select(x, "notEqual", x, one, zero),
  LeakyRelu: (_, [x], { node }) => below(x, multiply(x, parameter(node, "alpha", 0.01)), x),
  Log: (place, [x]) => logarithm(place, x),
  Mish: (place, [x]) => mish(place, x),
  Neg: single("negate"),
  Not: (_, [x]) => select(x, "equal", zero, one, zero),
  Reciprocal: (_, [x]) => divide(one, x),
  Round: single("nearest"),
  Selu: (place, [x], { node }) => {
    const alpha = parameter(node, "alpha", 1.6732631921768188);
    const curved = multiply(alpha, exponentialMinusOne(place, x));
    return multiply(parameter(node, "gamma", 1.0507010221481323), below(x, curved, x));
  },
  Sigmoid: (place, [x]) => logistic(place, x),
  Sign: (_, [x]) => select(zero, "less", x, one, below(x, constant(-1), x)),
  Shrink: (_, [x], { node }) => {
    const [lambda, bias] = [parameter(node, "lambd", 0.5), parameter(node, "bias", 0)];
    const ofNegative = select(x, "less", unary("negate", lambda), add(x, bias), zero);
    return select(lambda, "less", x, subtract(x, bias), ofNegative);
  },
  Sin: (place, [x]) => sine(place, x),
  Softplus: (place, [x]) => softplus(place, x),
  Softsign: (_, [x]) => divide(x, add(one, magnitude(x))),
  Sqrt: single("squareRoot"),
  Tan: (place, [x]) => divide(sine(place, x), cosine(place, x)),
  Tanh: (place, [x]) => hyperbolicTangent(place, x),
  ThresholdedRelu: (_, [x], { node }) => select(parameter(node, "alpha", 1), "less", x, x, zero),
} as const satisfies Readonly<Record<string, UnaryFunction>>;
