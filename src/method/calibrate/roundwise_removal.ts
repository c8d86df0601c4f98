import { at, orDefault, present } from "../../graph/at.js";
import type { CoefficientProblem } from "./basis_fit.js";
import type { RemovalPath } from "./removal.js";
import type { RowFit } from "./solver.js";

/** See `present`: these loops are among the longest. */
const read = present;

/** Which coefficients of each output went in which order, and what the error was after each round. */
export class RoundwiseRemoval {
  /** 1 where a coefficient is left, 0 where it went: [outputs, columns]. */
  readonly isFree: Float32Array;
  private readonly orders: number[][];
  private readonly errors: number[][];
  private readonly whole: number[] = [];
  private readonly diagonal: Float64Array;
  /** For each output the expected costs of what was removed since the last measurement. */
  private pending: readonly (readonly number[])[];

  constructor(private readonly problem: CoefficientProblem) {
    const { columns, gram, cross, variance } = problem;
    this.isFree = new Float32Array(cross.length).fill(1);
    this.orders = Array.from(variance, () => []);
    this.errors = Array.from(variance, () => []);
    this.pending = Array.from(variance, () => []);
    this.diagonal = Float64Array.from({ length: columns }, (_, i) => read(gram[i * columns + i]));
  }

  /**
   * Takes the errors of the present coefficients w, variance - w (cross + residual).
   * @param residual cross - gram w where coefficients are left
   */
  measure(coefs: Float32Array, residual: Float32Array): void {
    const { columns, cross, variance } = this.problem;
    variance.forEach((total, k) => {
      let error = total;
      for (let index = k * columns; index < (k + 1) * columns; index++)
        error -= read(coefs[index]) * (read(cross[index]) + read(residual[index]));
      if (this.whole.length <= k) this.whole.push(Math.max(0, error));
      else this.settle(k, Math.max(0, error - at(this.whole, k)));
    });
    this.pending = this.orders.map(() => []);
  }

  /** Spreads what a round added to the error of an output over the coefficients that went, by expected cost. */
  private settle(k: number, added: number): void {
    const [errors, costs] = [at(this.errors, k), at(this.pending, k)];
    const before = lastError(errors);
    const all = costs.reduce((sum, cost) => sum + cost, 0);
    let spent = 0;
    for (const cost of costs) {
      spent += cost;
      errors.push(before + Math.max(0, added - before) * (all > 0 ? spent / all : 1));
    }
  }

  /** Over all outputs, those that cost least, by how much each output's error counts. */
  removeCheapest(coefs: Float32Array, share: number): void {
    const { columns, importance } = this.problem;
    const costs = new Float64Array(coefs.length);
    const free = new Float64Array(coefs.length);
    let count = 0;
    for (let k = 0, index = 0; k < this.orders.length; k++) {
      const weight = read(importance[k]);
      for (let column = 0; column < columns; column++, index++) {
        if (this.isFree[index] === 0) continue;
        const cost = weight * this.cost(coefs, index, column);
        costs[index] = cost;
        free[count++] = cost;
      }
    }
    const removed = count - Math.round(count * share);
    if (removed > 0) this.removeUpTo(costs, free.subarray(0, count).sort(), removed);
  }

  /** @param sorted the costs of all that are left */
  private removeUpTo(costs: Float64Array, sorted: Float64Array, count: number): void {
    const { columns } = this.problem;
    const limit = at(sorted, count - 1);
    // Of those that cost the same as the last one, the first are taken.
    let equal = count - lowerBound(sorted, limit);
    this.pending = this.orders.map((order, k) => {
      const start = k * columns;
      const chosen: number[] = [];
      for (let column = 0; column < columns; column++) {
        if (this.isFree[start + column] === 0) continue;
        const cost = read(costs[start + column]);
        if (cost > limit || (cost === limit && equal-- <= 0)) continue;
        chosen.push(column);
      }
      chosen.sort((a, b) => read(costs[start + a]) - read(costs[start + b]));
      for (const column of chosen) this.isFree[start + column] = 0;
      order.push(...chosen);
      return chosen.map((column) => read(costs[start + column]));
    });
  }

  private cost(coefs: Float32Array, index: number, column: number): number {
    return read(coefs[index]) ** 2 * read(this.diagonal[column]);
  }

  /** The paths; what no round removed goes last, the smallest contribution first. */
  rows(coefs: Float32Array): readonly RowFit[] {
    return this.orders.map((order, k) => ({ path: this.path(order, k, coefs), error: at(this.whole, k) }));
  }

  private path(order: readonly number[], k: number, coefs: Float32Array): RemovalPath {
    const { columns, variance } = this.problem;
    const left: number[] = [];
    for (let column = 0; column < columns; column++) {
      if (this.isFree[k * columns + column] === 1) left.push(column);
    }
    const cost = (column: number): number => this.cost(coefs, k * columns + column, column);
    left.sort((a, b) => cost(a) - cost(b));
    const error = [...at(this.errors, k)];
    const all = left.reduce((sum, column) => sum + cost(column), 0);
    const before = lastError(error);
    const rest = Math.max(0, at(variance, k) - at(this.whole, k) - before);
    let spent = 0;
    for (const column of left) {
      spent += cost(column);
      error.push(before + rest * (all > 0 ? spent / all : 1));
    }
    return { order: Int32Array.from([...order, ...left]), error: Float64Array.from(error) };
  }
}

/** The error that was added so far: none as long as nothing was removed. */
function lastError(errors: readonly number[]): number {
  return orDefault(errors.at(-1), 0);
}

/** How many elements of a sorted list are smaller. */
function lowerBound(sorted: Float64Array, value: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (read(sorted[middle]) < value) from = middle + 1;
    else to = middle;
  }
  return from;
}
