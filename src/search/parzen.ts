import { at, last } from "../graph/at.js";
import { evenBounds, fromEven, type NumericDimension, type ParamValue, toEven } from "./space.js";
import type { RandomSource } from "./study.js";

/** A density over one dimension, made of what was seen and of a prior that is even over all of it. */
export interface Density {
  draw(random: RandomSource): ParamValue;
  logDensity(value: ParamValue): number;
}

/** A normal distribution cut off at the bounds. */
interface Kernel {
  readonly mean: number;
  readonly sigma: number;
  /** Of the uncut distribution, within the bounds. */
  readonly mass: number;
  /** Of the uncut distribution, below the lower bound. */
  readonly below: number;
}

/** Shares of kernels that are narrower say more than a few values can. */
const MOST_KERNELS = 100;

/**
 * Parzen's estimate with a bandwidth for each value, the larger distance to its neighbours, and a wide kernel in the
 * middle as prior (Bergstra et al. 2011).
 * @param values seen, in any order
 */
export function numericDensity(dimension: NumericDimension, values: readonly number[]): Density {
  const { low, high } = evenBounds(dimension);
  const range = high - low;
  const middle = (low + high) / 2;
  const means = values.map((value) => toEven(dimension, value));
  const sorted = [...means, middle].toSorted((a, b) => a - b);
  const narrowest = range / Math.min(MOST_KERNELS, 1 + sorted.length);
  const kernels = [
    ...means.map((mean) =>
      kernel(mean, Math.min(range, Math.max(narrowest, gapAround(sorted, mean, low, high)))),
    ),
    kernel(middle, range),
  ];
  function kernel(mean: number, sigma: number): Kernel {
    const below = normalCdf((low - mean) / sigma);
    return { mean, sigma, below, mass: normalCdf((high - mean) / sigma) - below };
  }
  return {
    draw: (random) => {
      const { mean, sigma, below, mass } = at(kernels, Math.floor(random.uniform() * kernels.length));
      const place = mean + sigma * normalQuantile(below + mass * random.uniform());
      return fromEven(dimension, Math.min(high, Math.max(low, place)));
    },
    logDensity: (value) => {
      const place = toEven(dimension, Number(value));
      return Math.log(kernels.reduce((sum, one) => sum + within(dimension, place, one), 0) / kernels.length);
    },
  };
}

/** The larger distance to a neighbour in a sorted list, the bounds being neighbours of the outermost. */
function gapAround(sorted: readonly number[], value: number, low: number, high: number): number {
  const index = sorted.indexOf(value);
  const [before, after] = [
    index === 0 ? low : at(sorted, index - 1),
    index === sorted.length - 1 ? high : at(sorted, index + 1),
  ];
  // At an end only the neighbour that there is counts.
  if (index === 0 && sorted.length > 1) return after - value;
  if (index === sorted.length - 1 && sorted.length > 1) return value - before;
  return Math.max(value - before, after - value);
}

/** Density of a kernel at a place; of a whole number the mass of the unit around it. */
function within(dimension: NumericDimension, place: number, { mean, sigma, mass }: Kernel): number {
  if (dimension.kind === "float") {
    const distance = (place - mean) / sigma;
    return Math.exp(-0.5 * distance * distance) / (sigma * Math.sqrt(2 * Math.PI) * mass);
  }
  const value = fromEven(dimension, place);
  const edge = (number: number): number => (toEven(dimension, number) - mean) / sigma;
  return Math.max(Number.MIN_VALUE, normalCdf(edge(value + 0.5)) - normalCdf(edge(value - 0.5))) / mass;
}

/** How often each choice was seen, and one more time for all of them together. */
export function categoricalDensity(choices: readonly ParamValue[], values: readonly ParamValue[]): Density {
  const shares = choices.map(
    (choice) =>
      (values.filter((value) => value === choice).length + 1 / choices.length) / (values.length + 1),
  );
  return {
    draw: (random) => {
      let left = random.uniform();
      for (const [index, share] of shares.entries()) {
        left -= share;
        if (left < 0) return at(choices, index);
      }
      return last(choices);
    },
    logDensity: (value) => Math.log(at(shares, choices.indexOf(value))),
  };
}

/** Of the standard normal distribution; error below 8e-8 (Abramowitz and Stegun 26.2.17). */
export function normalCdf(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const tail =
    ((Math.exp(-0.5 * x * x) * t) / Math.sqrt(2 * Math.PI)) *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x >= 0 ? 1 - tail : tail;
}

/** The inverse of `normalCdf`, found by halving. @param share in [0, 1] */
export function normalQuantile(share: number): number {
  let [low, high] = [-FARTHEST, FARTHEST];
  for (let step = 0; step < 48; step++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** In standard deviations: nothing is drawn beyond. */
const FARTHEST = 9;
