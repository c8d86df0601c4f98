import { at } from "../graph/at.js";

export type ParamValue = string | number | boolean;

/** What one parameter may be. */
export type Dimension =
  /** A number from `low` to `high`, both included; with `log`, equal ratios are equally likely, and `low` is above 0. */
  | { readonly kind: "float"; readonly low: number; readonly high: number; readonly log: boolean }
  /** The same for whole numbers. */
  | { readonly kind: "int"; readonly low: number; readonly high: number; readonly log: boolean }
  /** One of these, in no order. */
  | { readonly kind: "categorical"; readonly choices: readonly ParamValue[] };

export type NumericDimension = Exclude<Dimension, { readonly kind: "categorical" }>;

/** What is searched, by the names of the parameters; their order matters. */
export type Space = Readonly<Record<string, Dimension>>;

/** A point of a space: a value for each of its parameters. */
export type Params = Readonly<Record<string, ParamValue>>;

/**
 * Where a numeric dimension is even: its bounds there. A whole number stands for the unit around it, so that the first
 * and the last are as likely as the others.
 */
export function evenBounds({ kind, low, high, log }: NumericDimension): {
  readonly low: number;
  readonly high: number;
} {
  const half = kind === "int" ? 0.5 : 0;
  const scale = (value: number): number => (log ? Math.log(value) : value);
  return { low: scale(low - half), high: scale(high + half) };
}

/** A value on the even scale. */
export function toEven({ log }: NumericDimension, value: number): number {
  return log ? Math.log(value) : value;
}

/** The value that a place on the even scale stands for, within the dimension's bounds. */
export function fromEven({ kind, low, high, log }: NumericDimension, place: number): number {
  const value = log ? Math.exp(place) : place;
  return Math.min(high, Math.max(low, kind === "int" ? Math.round(value) : value));
}

/** The value at a share of a dimension. @param share in [0, 1) */
export function valueAt(dimension: Dimension, share: number): ParamValue {
  if (dimension.kind === "categorical") {
    const { choices } = dimension;
    return at(choices, Math.min(choices.length - 1, Math.floor(share * choices.length)));
  }
  const { low, high } = evenBounds(dimension);
  return fromEven(dimension, low + share * (high - low));
}
