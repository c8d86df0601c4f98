import { add, mul, sub } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";

/** The slope parameter of cubic interpolation in GridSample. */
const A = -0.75;

/** Of a polynomial, the highest power first. */
type Coefficients = readonly [first: number, ...others: number[]];

/** ((a d + b) d + c) d + e. */
function cubic(b: Emitter, d: string, [first, ...others]: Coefficients): string {
  return others.reduce((sum, coefficient, index) => {
    const grown = index === 0 ? mul(b, d, b.scalar(first)) : mul(b, sum, d);
    return coefficient === 0 ? grown : add(b, grown, b.scalar(coefficient));
  }, "");
}

const NEAR: Coefficients = [A + 2, -(A + 3), 0, 1];
const FAR: Coefficients = [A, -5 * A, 8 * A, -4 * A];

/** The weights of the four elements around a place, `rest` of which lies behind the second (cubic convolution). */
export function cubicWeights(b: Emitter, rest: string): readonly string[] {
  const one = b.scalar(1);
  const other = sub(b, one, rest);
  return [
    cubic(b, add(b, rest, one), FAR),
    cubic(b, rest, NEAR),
    cubic(b, other, NEAR),
    cubic(b, add(b, other, one), FAR),
  ];
}
