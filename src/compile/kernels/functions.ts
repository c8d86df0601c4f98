import { binary, constant, type KernelBuilder, multiplyAdd, select, unary } from "../kernel_builder.js";
import type { Lanes, Value } from "../loops.js";

// Functions of float32 in arithmetic that every target has, one number or a vector at a time. NaN gives NaN; infinities
// and arguments of any size give what IEEE 754 functions give. Errors are relative, against float64.

/** Where in a kernel a value is computed. */
export interface Place {
  readonly k: KernelBuilder;
  readonly lanes: Lanes;
}

export const add = (left: Value, right: Value): Value => binary("add", left, right);
export const subtract = (left: Value, right: Value): Value => binary("subtract", left, right);
export const multiply = (left: Value, right: Value): Value => binary("multiply", left, right);
export const divide = (left: Value, right: Value): Value => binary("divide", left, right);
/** The larger of two; the left one where either is NaN. */
export const larger = (left: Value, right: Value): Value => binary("pseudoMax", left, right);
/** The smaller of two; the left one where either is NaN. */
export const smaller = (left: Value, right: Value): Value => binary("pseudoMin", left, right);
export const magnitude = (x: Value): Value => unary("absolute", x);

const zero = constant(0);
const one = constant(1);
const infinity = constant(Number.POSITIVE_INFINITY);
const notANumber = constant(Number.NaN);

/** Computes a value once, for several uses. */
export function once({ k, lanes }: Place, value: Value, name = "t"): Value {
  return value.kind === "variable" || value.kind === "constant" ? value : k.value(name, lanes, value).read;
}

/** c[0] x^(n-1) + ... + c[n-1]. */
export function polynomial(place: Place, x: Value, coefficients: readonly number[]): Value {
  return coefficients
    .map(constant)
    .reduce((sum, coefficient) => once(place, multiplyAdd(sum, x, coefficient)));
}

/** ln 2 in two parts: the first has so few bits that its product with an exponent is exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444005469057e-4;

/** e^x is infinite above, and 0 below. */
const LARGEST_EXPONENT = 89;
const SMALLEST_EXPONENT = -104;

/** (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2 (Cephes, `expf`). */
const EXP_TAIL = [
  1.987569150014e-4, 1.398199950713e-3, 8.33345190727e-3, 4.166579589397e-2, 1.666666545938e-1,
  5.000000120119e-1,
];

/** e^r - 1 for |r| <= ln 2 / 2. */
function exponentialRest(place: Place, r: Value): Value {
  const tail = polynomial(place, r, EXP_TAIL);
  return once(place, multiplyAdd(once(place, multiply(r, r)), tail, r));
}

/** 2^n for an integral n from -252 to 254, times x. */
function scaleByPower(place: Place, x: Value, n: Value): Value {
  const half = once(place, unary("nearest", multiply(n, constant(0.5))));
  const scaled = multiply(x, unary("powerOfTwo", half));
  return multiply(scaled, unary("powerOfTwo", subtract(n, half)));
}

/** e^x = 2^power factor, the factor from 1 / sqrt 2 to sqrt 2, for x within limits. NaN stays: it is a left operand. */
function exponentialParts(
  place: Place,
  x: Value,
  [smallest, largest]: readonly [number, number],
): { readonly power: Value; readonly factor: Value } {
  const bounded = once(place, smaller(larger(x, constant(smallest)), constant(largest)));
  const power = once(place, unary("nearest", multiply(bounded, constant(Math.LOG2E))));
  const near = multiplyAdd(power, constant(-LN2_HIGH), bounded);
  const r = once(place, multiplyAdd(power, constant(-LN2_LOW), near));
  return { power, factor: add(exponentialRest(place, r), one) };
}

/** e^x; error below 2e-7. */
export function exponential(place: Place, value: Value): Value {
  const { power, factor } = exponentialParts(place, value, [SMALLEST_EXPONENT, LARGEST_EXPONENT]);
  return once(place, scaleByPower(place, factor, power));
}

/** Within this, e^x - 1 is computed without the detour over e^x, which would lose digits. */
const SMALL_EXPONENT = 0.34;

/** e^x - 1; error below 4e-7. */
export function exponentialMinusOne(place: Place, value: Value): Value {
  const x = once(place, value, "x");
  const size = once(place, magnitude(x));
  const limit = constant(SMALL_EXPONENT);
  const near = exponentialRest(place, once(place, select(size, "less", limit, x, zero)));
  return once(place, select(size, "less", limit, near, subtract(exponential(place, x), one)));
}

const SMALLEST_NORMAL = 1.1754943508222875e-38;
const TWO_TO_24 = 16777216;

/** (ln(1 + f) - f + f^2 / 2) / f^3 for 1 + f from 1 / sqrt 2 to sqrt 2 (Cephes, `logf`). */
const LOG_TAIL = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
  2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
];

/** A positive number as 2^exponent (1 + fraction), 1 + fraction from 1 / sqrt 2 to sqrt 2. */
interface Scaled {
  readonly exponent: Value;
  readonly fraction: Value;
}

/** Of what is not positive and finite, that of 1. */
function scaledNumber(place: Place, x: Value): Scaled {
  const finite = select(x, "less", infinity, x, one);
  const positive = once(place, select(zero, "less", finite, finite, one));
  const isSmall = { left: positive, right: constant(SMALLEST_NORMAL) };
  const pick = (chosen: Value, other: Value): Value =>
    select(isSmall.left, "less", isSmall.right, chosen, other);
  const normal = once(place, pick(multiply(positive, constant(TWO_TO_24)), positive));
  const mantissa = once(place, unary("mantissa", normal));
  const exponent = once(place, add(unary("exponent", normal), pick(constant(-24), zero)));
  const root = constant(Math.SQRT2);
  const halved = (chosen: Value, other: Value): Value => select(root, "less", mantissa, chosen, other);
  return {
    exponent: once(place, add(exponent, halved(one, zero))),
    fraction: once(place, subtract(halved(multiply(mantissa, constant(0.5)), mantissa), one)),
  };
}

/** ln(1 + f) - f. */
function logarithmRest(place: Place, f: Value): Value {
  const square = once(place, multiply(f, f));
  const tail = multiply(multiply(polynomial(place, f, LOG_TAIL), f), square);
  return multiplyAdd(square, constant(-0.5), tail);
}

/** ln x; error below 2e-7, except that 1e-7 is absolute where x is near 1. */
export function logarithm(place: Place, value: Value): Value {
  const x = once(place, value, "x");
  const { exponent, fraction } = scaledNumber(place, x);
  const low = multiplyAdd(exponent, constant(LN2_LOW), logarithmRest(place, fraction));
  const result = multiplyAdd(exponent, constant(LN2_HIGH), add(fraction, low));
  const ofZero = select(x, "equal", zero, constant(Number.NEGATIVE_INFINITY), notANumber);
  const ofPositive = select(x, "less", infinity, result, infinity);
  return once(place, select(zero, "less", x, ofPositive, ofZero));
}

/** ln(1 + t) for t from 0 to 1; the rounding of 1 + t is made good. */
function logarithmOfOnePlus(place: Place, t: Value): Value {
  const sum = once(place, add(t, one));
  const rounded = once(place, subtract(sum, one));
  const ratio = divide(multiply(logarithm(place, sum), t), rounded);
  return once(place, select(rounded, "equal", zero, t, ratio));
}

/** 1 + e^x is 1 below, and the power of 2 that e^x is made of exists. */
const SMALLEST_LOGISTIC = -87;

/** 1 / (1 + e^-x); error below 4e-7; 0 where that is below 2^-127. */
export function logistic(place: Place, value: Value): Value {
  const limits = [SMALLEST_LOGISTIC, LARGEST_EXPONENT] as const;
  const { power, factor } = exponentialParts(place, unary("negate", value), limits);
  return once(place, divide(one, multiplyAdd(factor, unary("powerOfTwo", power), one)));
}

/** ln(1 + e^x); error below 1e-6. */
export function softplus(place: Place, value: Value): Value {
  const x = once(place, value, "x");
  const t = exponential(place, unary("negate", magnitude(x)));
  return once(place, add(larger(x, zero), logarithmOfOnePlus(place, t)));
}

/** The sign of one number and the size of another. */
function withSignOf(x: Value, size: Value): Value {
  return select(x, "less", zero, unary("negate", size), size);
}

/** (tanh x - x) / x^3 as a polynomial in x^2, for |x| below 0.625 (Cephes, `tanhf`). */
const TANH_TAIL = [
  -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1,
];
const SMALL_TANH = 0.625;

/** tanh x; error below 3e-7. */
export function hyperbolicTangent(place: Place, value: Value): Value {
  const x = once(place, value, "x");
  const size = once(place, magnitude(x));
  const square = once(place, multiply(x, x));
  const near = multiplyAdd(multiply(polynomial(place, square, TANH_TAIL), square), x, x);
  const power = exponential(place, add(size, size));
  const far = subtract(one, divide(constant(2), add(power, one)));
  return once(place, select(size, "less", constant(SMALL_TANH), near, withSignOf(x, far)));
}

// N. Juffa's single-precision error function: below the limit (erf x - x) / x in x^2, above it (ln(1 - erf x) + x) / x.
const ERF_NEAR = [
  -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1,
];
const ERF_FAR = [
  -1.7285347e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1,
];
const SMALL_ERF = 0.927734375;
/** From here on erf x is 1 in float32. */
const SATURATED_ERF = 4;

/** erf x; error below 3e-7. */
export function errorFunction(place: Place, value: Value): Value {
  const x = once(place, value, "x");
  const size = once(place, magnitude(x));
  const near = multiplyAdd(polynomial(place, once(place, multiply(x, x)), ERF_NEAR), x, x);
  const bounded = once(place, smaller(size, constant(SATURATED_ERF)));
  const inner = subtract(multiply(polynomial(place, bounded, ERF_FAR), bounded), bounded);
  const far = subtract(one, exponential(place, inner));
  return once(place, select(size, "less", constant(SMALL_ERF), near, withSignOf(x, far)));
}

/** Beyond these, powers of every float32 but 1 are 0 or infinite. */
const LARGEST_POWER = 1e10;

/** x^y for finite x > 0: 2^(y e) (1 + f)^y, with the product y e in two parts so that nothing of it is lost. */
function powerOfPositive(place: Place, x: Value, exponent: Value): Value {
  const limited = smaller(larger(exponent, constant(-LARGEST_POWER)), constant(LARGEST_POWER));
  const y = once(place, select(exponent, "equal", exponent, limited, zero));
  const { exponent: e, fraction: f } = scaledNumber(place, x);
  const coarse = once(place, multiply(unary("nearest", multiply(y, constant(64))), constant(1 / 64)));
  const product = once(place, multiply(e, coarse));
  const whole = once(place, unary("nearest", product));
  const rest = multiplyAdd(e, subtract(y, coarse), subtract(product, whole));
  const logarithmOfFraction = add(f, logarithmRest(place, f));
  const inner = once(place, multiplyAdd(y, logarithmOfFraction, multiply(rest, constant(Math.LN2))));
  const more = once(place, unary("nearest", multiply(inner, constant(Math.LOG2E))));
  const near = multiplyAdd(more, constant(-LN2_HIGH), inner);
  const r = once(place, multiplyAdd(more, constant(-LN2_LOW), near));
  const n = once(place, smaller(larger(add(whole, more), constant(-250)), constant(250)));
  return scaleByPower(place, add(exponentialRest(place, r), one), n);
}

/** x^y as `powf`; error below 1e-6 (1e-5 where y is large and x near 1). */
export function power(place: Place, base: Value, exponent: Value): Value {
  const x = once(place, base, "x");
  const y = once(place, exponent, "y");
  const size = once(place, magnitude(x));
  const isWhole = (chosen: Value, other: Value): Value =>
    select(unary("floor", y), "equal", y, chosen, other);
  const half = once(place, multiply(y, constant(0.5)));
  const isOdd = (chosen: Value, other: Value): Value =>
    isWhole(select(unary("floor", half), "equal", half, other, chosen), other);
  const ofSize = powerOfPositive(place, size, y);
  // 0 and infinity to a power are 0, 1 or infinity.
  const grown = select(zero, "less", y, infinity, zero);
  const shrunk = select(zero, "less", y, zero, infinity);
  const extreme = select(size, "equal", zero, shrunk, select(size, "equal", infinity, grown, ofSize));
  const bySize = once(place, extreme);
  const negative = isOdd(
    unary("negate", bySize),
    isWhole(bySize, select(size, "less", infinity, notANumber, bySize)),
  );
  const signed = once(place, select(x, "less", zero, select(size, "equal", zero, bySize, negative), bySize));
  // y infinite: 0, 1 or infinity by the size of x.
  const large = select(one, "less", size, grown, shrunk);
  const ofInfinite = select(size, "equal", one, one, large);
  const finite = once(place, select(magnitude(y), "equal", infinity, ofInfinite, signed));
  const known = select(x, "equal", x, select(y, "equal", y, finite, y), x);
  return once(place, select(x, "equal", one, one, select(y, "equal", zero, one, known)));
}

/** The remainder with the sign of the dividend, as `fmod`, for quotients below 2^24. */
export function truncatedRemainder(place: Place, dividend: Value, divisor: Value): Value {
  const x = once(place, dividend, "x");
  const size = once(place, magnitude(x));
  const y = once(place, magnitude(divisor), "y");
  const quotient = once(place, unary("floor", divide(size, y)));
  const first = once(place, subtract(size, multiply(quotient, y)));
  // The rounded quotient may be one too large or too small.
  const raised = once(place, select(first, "less", zero, add(first, y), first));
  const reduced = once(place, select(y, "lessOrEqual", raised, subtract(raised, y), raised));
  const rest = once(place, select(size, "less", y, size, reduced));
  return once(place, withSignOf(x, rest));
}

/** The remainder with the sign of the divisor, for quotients below 2^24. */
export function flooredRemainder(place: Place, dividend: Value, divisor: Value): Value {
  const y = once(place, divisor, "divisor");
  const rest = truncatedRemainder(place, dividend, y);
  const shifted = select(multiply(rest, y), "less", zero, add(rest, y), rest);
  return once(place, shifted);
}
