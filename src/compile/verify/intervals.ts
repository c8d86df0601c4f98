import type { BinaryOp, Value } from "../loops.js";

/** All integers (or numbers) that something can be; infinite where nothing is known. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

export const unknown: Interval = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };

export const exactly = (value: number): Interval => ({ low: value, high: value });

export const isExact = ({ low, high }: Interval): boolean => low === high;

export const isKnown = ({ low, high }: Interval): boolean => Number.isFinite(low) && Number.isFinite(high);

export function sum(left: Interval, right: Interval): Interval {
  return { low: left.low + right.low, high: left.high + right.high };
}

export function product(left: Interval, right: Interval): Interval {
  const ends = [
    timesZero(left.low, right.low),
    timesZero(left.low, right.high),
    timesZero(left.high, right.low),
    timesZero(left.high, right.high),
  ];
  return { low: Math.min(...ends), high: Math.max(...ends) };
}

/** An unknown number of nothing is nothing. */
function timesZero(left: number, right: number): number {
  return left === 0 || right === 0 ? 0 : left * right;
}

/** The values of a counter; empty (low above high) if its loop never runs. */
export function counterInterval(from: Interval, to: Interval, step: number): Interval {
  if (!isExact(from) || !isExact(to)) return { low: from.low, high: to.high - 1 };
  const rounds = Math.ceil((to.low - from.low) / step);
  return { low: from.low, high: from.low + (rounds - 1) * step };
}

/** What a float32 value can be. */
interface Range extends Interval {
  readonly maybeNaN: boolean;
}

const anything: Range = { ...unknown, maybeNaN: true };

/** The position that a value is made into without its fraction; `unknown` unless it is cut to a range. */
export function positionOf(value: Value, indexOf: IndexEvaluation): Interval {
  const { low, high, maybeNaN } = rangeOf(value, indexOf);
  return maybeNaN ? unknown : { low: Math.trunc(low), high: Math.trunc(high) };
}

export type IndexEvaluation = (index: Extract<Value, { kind: "fromIndex" }>["index"]) => Interval;

function rangeOf(value: Value, indexOf: IndexEvaluation): Range {
  switch (value.kind) {
    case "constant":
      return { ...exactly(value.value), maybeNaN: Number.isNaN(value.value) };
    case "fromIndex":
      return { ...indexOf(value.index), maybeNaN: false };
    case "binary":
      return combined[value.op]?.(rangeOf(value.left, indexOf), rangeOf(value.right, indexOf)) ?? anything;
    default:
      return anything;
  }
}

/** The left operand stays where either is NaN, so it alone decides whether the result can be. */
const combined: Partial<Readonly<Record<BinaryOp, (left: Range, right: Range) => Range>>> = {
  pseudoMax: (left, right) => ({
    low: left.low,
    high: Math.max(left.high, right.high),
    maybeNaN: left.maybeNaN,
  }),
  pseudoMin: (left, right) => ({
    low: Math.min(left.low, right.low),
    high: right.maybeNaN ? left.high : Math.min(left.high, right.high),
    maybeNaN: left.maybeNaN,
  }),
};
