import { constant, multiplyAdd, select, unary } from "../kernel_builder.js";
import type { Value } from "../loops.js";
import { add, divide, magnitude, multiply, once, type Place, polynomial, subtract } from "./functions.js";

// Angles in radians. The polynomials are those of Cephes (`sinf`, `cosf`, `atanf`).

const zero = constant(0);
const one = constant(1);
const negate = (x: Value): Value => unary("negate", x);

/** pi / 2 in three parts, the first two with so few digits that their multiples up to 2^15 are exact. */
const QUARTER_TURN = [1.5703125, 4.837512969970703e-4, 7.549789954891882e-8];
const SINE_TAIL = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1];
const COSINE_TAIL = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2];

/** sin(x + `turns` pi / 2); error below 2e-7 for x up to 50,000, then growing with x. */
function sineFrom(place: Place, value: Value, turns: number): Value {
  const x = once(place, value, "x");
  const quarters = once(place, unary("nearest", multiply(x, constant(2 / Math.PI))));
  const r = QUARTER_TURN.reduce((rest, part) => once(place, multiplyAdd(quarters, constant(-part), rest)), x);
  const square = once(place, multiply(r, r));
  const ofSine = multiply(multiply(polynomial(place, square, SINE_TAIL), square), r);
  const s = once(place, add(ofSine, r));
  const ofCosine = multiply(multiply(polynomial(place, square, COSINE_TAIL), square), square);
  const c = once(place, add(multiplyAdd(square, constant(-0.5), ofCosine), one));
  const turned = once(place, add(quarters, constant(turns)));
  const whole = unary("floor", multiply(turned, constant(0.25)));
  const quadrant = once(place, subtract(turned, multiply(whole, constant(4))));
  const is = (number: number, chosen: Value, other: Value): Value =>
    select(quadrant, "equal", constant(number), chosen, other);
  return once(place, is(1, c, is(2, negate(s), is(3, negate(c), s))));
}

export const sine = (place: Place, x: Value): Value => sineFrom(place, x, 0);
export const cosine = (place: Place, x: Value): Value => sineFrom(place, x, 1);

const ARC_TAIL = [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1];
const [TAN_1_8, TAN_3_8] = [Math.SQRT2 - 1, Math.SQRT2 + 1];

/** The angle from -pi / 2 to pi / 2 with this tangent; error below 3e-7. */
export function arcTangent(place: Place, value: Value): Value {
  const x = once(place, value, "x");
  const size = once(place, magnitude(x));
  const bySize = (large: Value, middle: Value, small: Value): Value =>
    select(constant(TAN_3_8), "less", size, large, select(constant(TAN_1_8), "less", size, middle, small));
  const far = divide(constant(-1), size);
  const reduced = once(place, bySize(far, divide(subtract(size, one), add(size, one)), size));
  const base = bySize(constant(Math.PI / 2), constant(Math.PI / 4), zero);
  const square = once(place, multiply(reduced, reduced));
  const tail = multiply(multiply(polynomial(place, square, ARC_TAIL), square), reduced);
  const angle = once(place, add(base, add(tail, reduced)));
  return once(place, select(x, "less", zero, negate(angle), angle));
}

/** NaN outside -1 to 1. */
export function arcSine(place: Place, value: Value): Value {
  const x = once(place, value, "x");
  const other = unary("squareRoot", multiply(subtract(one, x), add(one, x)));
  return arcTangent(place, divide(x, other));
}

/** NaN outside -1 to 1. */
export function arcCosine(place: Place, value: Value): Value {
  const x = once(place, value, "x");
  const half = unary("squareRoot", divide(subtract(one, x), add(one, x)));
  return once(place, multiply(constant(2), arcTangent(place, half)));
}
