import { intAttribute } from "../../graph/attributes.js";
import { constant, select, unary } from "../kernel_builder.js";
import {
  add,
  divide,
  flooredRemainder,
  larger,
  multiply,
  once,
  type Place,
  power,
  smaller,
  subtract,
  truncatedRemainder,
} from "../kernels/functions.js";
import type { Comparison, Value } from "../loops.js";
import type { ElementContext } from "./definition.js";
import { type BinaryFunction, type ElementFunction, holdsIntegers } from "./elementwise.js";

// Functions of several numbers. Truth values are 0 and 1.

const zero = constant(0);
const one = constant(1);

const truth = (left: Value, comparison: Comparison, right: Value): Value =>
  select(left, comparison, right, one, zero);

/** `other`, or the left operand where that is NaN already: NaN wins, as in ONNX Runtime. */
const orNaN = (checked: Value, other: Value): Value => select(checked, "equal", checked, other, checked);

/** Exponents that need no logarithm. */
const simplePowers = new Map<number, (place: Place, x: Value) => Value>([
  [-1, (_, x) => divide(one, x)],
  [0, () => one],
  [1, (_, x) => x],
  [2, (_, x) => multiply(x, x)],
  [3, (place, x) => multiply(once(place, multiply(x, x)), x)],
]);

function raised(place: Place, x: Value, exponent: Value, context: ElementContext): Value {
  const exponents = context.constantData(1);
  const first = exponents?.[0];
  const isSame = first !== undefined && exponents?.every((value) => value === first);
  const simple = isSame ? simplePowers.get(first) : undefined;
  return simple === undefined ? power(place, x, exponent) : simple(place, x);
}

/** Operators of two broadcast inputs, by name. */
export const binaryFunctions = {
  Add: (_, [a, b]) => add(a, b),
  And: (_, [a, b]) => select(a, "notEqual", zero, truth(b, "notEqual", zero), zero),
  Div: (_, [a, b], context) => {
    const quotient = divide(a, b);
    return holdsIntegers(context) ? unary("truncate", quotient) : quotient;
  },
  Equal: (_, [a, b]) => truth(a, "equal", b),
  Greater: (_, [a, b]) => truth(b, "less", a),
  GreaterOrEqual: (_, [a, b]) => truth(b, "lessOrEqual", a),
  Less: (_, [a, b]) => truth(a, "less", b),
  LessOrEqual: (_, [a, b]) => truth(a, "lessOrEqual", b),
  Mod: (place, [a, b], { node }) =>
    intAttribute(node, "fmod") === 1 ? truncatedRemainder(place, a, b) : flooredRemainder(place, a, b),
  Mul: (_, [a, b]) => multiply(a, b),
  Or: (_, [a, b]) => select(a, "notEqual", zero, one, truth(b, "notEqual", zero)),
  Pow: (place, [a, b], context) => raised(place, a, b, context),
  PRelu: (_, [x, slope]) => select(x, "less", zero, multiply(x, slope), x),
  Sub: (_, [a, b]) => subtract(a, b),
  Xor: (_, [a, b]) => truth(truth(a, "notEqual", zero), "notEqual", truth(b, "notEqual", zero)),
} as const satisfies Readonly<Record<string, BinaryFunction>>;

/** Operators of any number of broadcast inputs, taken two by two. */
export const foldingFunctions = {
  Max: (_, [a, b]) => orNaN(b, larger(a, b)),
  Min: (_, [a, b]) => orNaN(b, smaller(a, b)),
  Sum: (_, [a, b]) => add(a, b),
} as const satisfies Readonly<Record<string, BinaryFunction>>;

/** Where: the second operand where the first holds, else the third. */
export const chosen: ElementFunction<readonly [Value, Value, Value]> = (_, [condition, a, b]) =>
  select(condition, "notEqual", zero, a, b);
