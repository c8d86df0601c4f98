import { mul, reduceMean, sub } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { inverseStandardDeviation } from "./normalization.js";

/** x with mean 0 and variance 1 along some axes, and what it was divided by. */
export interface Standardized {
  /** (x - mean) / √(variance + ε), as x. */
  readonly values: string;
  /** 1 / √(variance + ε), with the axes of size 1. */
  readonly inverseStd: string;
  readonly axes: readonly number[];
}

/** Standardizes x over axes, with the population variance. */
export function standardize(b: Emitter, x: string, axes: readonly number[], epsilon: number): Standardized {
  const centered = sub(b, x, reduceMean(b, x, axes, true));
  const variance = reduceMean(b, mul(b, centered, centered), axes, true);
  const inverseStd = inverseStandardDeviation(b, variance, epsilon);
  return { values: mul(b, centered, inverseStd), inverseStd, axes };
}

/**
 * The gradient to x from g, the gradient to the standardized values x̂:
 * dx = (g - mean g - x̂ · mean(g · x̂)) / √(variance + ε).
 */
export function standardizeGradient(b: Emitter, g: string, standardized: Standardized): string {
  const { values, inverseStd, axes } = standardized;
  const along = mul(b, values, reduceMean(b, mul(b, g, values), axes, true));
  return mul(b, sub(b, sub(b, g, reduceMean(b, g, axes, true)), along), inverseStd);
}
