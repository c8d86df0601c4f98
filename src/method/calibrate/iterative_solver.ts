import type { CoefficientProblem } from "./basis_fit.js";
import type { RemovalPath } from "./removal.js";
import type { CoefficientSolver, RowFit } from "./solver.js";

/** rows [count, n] . matrix [n, n], both row-major. */
export type MatrixProduct = (rows: Float64Array, matrix: Float64Array, n: number) => Promise<Float64Array>;

/** Share of the coefficients that stay after each round of removal, down to a fiftieth in twelve rounds. */
const KEPT_EACH_ROUND = 0.72;
const REMOVAL_ROUNDS = 12;
/** Conjugate gradient steps for all coefficients, after some were removed, and for those that stay. */
const STEPS = {
  dense: { fromNothing: 40, fromNear: 12 },
  round: 8,
  sparse: { fromNothing: 25, fromNear: 10 },
};

/**
 * For layers too wide for one inverse for each output: conjugate gradients on all outputs at once, one matrix product
 * a step, and removal in rounds: what is left compensates after each round instead of after each removal. A
 * coefficient's removal is taken to cost w_i^2 gram_ii, what it would cost if inputs were independent.
 */
export function iterativeSolver(product: MatrixProduct): CoefficientSolver {
  const solve = async (
    problem: CoefficientProblem,
    start: Float64Array,
    isFree: Uint8Array,
    steps: number,
  ): Promise<Float64Array> => {
    const state = new ConjugateGradients(problem, start, isFree);
    state.begin(await product(state.coefs, problem.gram, problem.columns));
    for (let step = 0; step < steps; step++) {
      state.advance(await product(state.direction, problem.gram, problem.columns));
    }
    return state.coefs;
  };
  return {
    dense: (problem, start) =>
      solve(
        problem,
        start ?? new Float64Array(problem.cross.length),
        new Uint8Array(problem.cross.length).fill(1),
        start === undefined ? STEPS.dense.fromNothing : STEPS.dense.fromNear,
      ),
    paths: async (problem, coefs) => {
      const removal = new RoundwiseRemoval(problem);
      let current = coefs;
      removal.measure(current, await product(current, problem.gram, problem.columns));
      for (let round = 0; round < REMOVAL_ROUNDS; round++) {
        removal.removeCheapest(current, KEPT_EACH_ROUND);
        current = await solve(problem, current, removal.isFree, STEPS.round);
        removal.measure(current, await product(current, problem.gram, problem.columns));
      }
      return removal.rows(current);
    },
    on: (problem, supports, start) => {
      const isFree = new Uint8Array(problem.cross.length);
      supports.forEach((support, k) => {
        for (const column of support) isFree[k * problem.columns + column] = 1;
      });
      const steps = start === undefined ? STEPS.sparse.fromNothing : STEPS.sparse.fromNear;
      return solve(problem, start ?? new Float64Array(problem.cross.length), isFree, steps);
    },
  };
}

/** Jacobi-preconditioned conjugate gradients for gram w = cross, one system for each output, on its free columns. */
class ConjugateGradients {
  readonly coefs: Float64Array;
  readonly direction: Float64Array;
  private readonly residual: Float64Array;
  private readonly energies: Float64Array;
  private readonly inverseDiagonal: Float64Array;

  constructor(
    private readonly problem: CoefficientProblem,
    start: Float64Array,
    private readonly isFree: Uint8Array,
  ) {
    const { columns, gram, cross } = problem;
    this.coefs = start.map((value, index) => (isFree[index] === 1 ? value : 0));
    this.direction = new Float64Array(cross.length);
    this.residual = new Float64Array(cross.length);
    this.energies = new Float64Array(cross.length / columns);
    this.inverseDiagonal = Float64Array.from({ length: columns }, (_, i) => 1 / (gram[i * columns + i] ?? 1));
  }

  /** @param product of the coefficients with the Gram matrix */
  begin(product: Float64Array): void {
    const { columns, cross } = this.problem;
    for (let index = 0; index < cross.length; index++) {
      const free = this.isFree[index] === 1;
      const residual = free ? (cross[index] ?? 0) - (product[index] ?? 0) : 0;
      this.residual[index] = residual;
      this.direction[index] = residual * (this.inverseDiagonal[index % columns] ?? 0);
    }
    this.eachRow((k, start, end) => {
      this.energies[k] = dot(this.residual, this.direction, start, end);
    });
  }

  /** One step. @param product of the direction with the Gram matrix */
  advance(product: Float64Array): void {
    const { columns } = this.problem;
    this.eachRow((k, start, end) => {
      const energy = this.energies[k] ?? 0;
      const curvature = dot(this.direction, product, start, end);
      if (!(curvature > 0) || !(energy > 0)) return;
      const step = energy / curvature;
      let next = 0;
      for (let index = start; index < end; index++) {
        if (this.isFree[index] !== 1) continue;
        this.coefs[index] = (this.coefs[index] ?? 0) + step * (this.direction[index] ?? 0);
        const residual = (this.residual[index] ?? 0) - step * (product[index] ?? 0);
        this.residual[index] = residual;
        next += residual * residual * (this.inverseDiagonal[index % columns] ?? 0);
      }
      this.energies[k] = next;
      const ratio = next / energy;
      for (let index = start; index < end; index++) {
        const scaled = (this.residual[index] ?? 0) * (this.inverseDiagonal[index % columns] ?? 0);
        this.direction[index] = this.isFree[index] === 1 ? scaled + ratio * (this.direction[index] ?? 0) : 0;
      }
    });
  }

  private eachRow(visit: (k: number, start: number, end: number) => void): void {
    const { columns } = this.problem;
    this.energies.forEach((_, k) => {
      visit(k, k * columns, (k + 1) * columns);
    });
  }
}

function dot(a: Float64Array, b: Float64Array, start: number, end: number): number {
  let sum = 0;
  for (let index = start; index < end; index++) sum += (a[index] ?? 0) * (b[index] ?? 0);
  return sum;
}

/** Which coefficients went in which order, and what the error was after each round. */
class RoundwiseRemoval {
  readonly isFree: Uint8Array;
  private readonly orders: number[][];
  private readonly errors: number[][];
  private readonly whole: number[] = [];
  /** Removed since the last measurement, and their expected costs. */
  private pending: number[][] = [];

  constructor(private readonly problem: CoefficientProblem) {
    this.isFree = new Uint8Array(problem.cross.length).fill(1);
    this.orders = Array.from(problem.variance, () => []);
    this.errors = Array.from(problem.variance, () => []);
  }

  /** Takes the errors of the present coefficients. @param product of them with the Gram matrix */
  measure(coefs: Float64Array, product: Float64Array): void {
    const { columns, cross, variance } = this.problem;
    variance.forEach((total, k) => {
      let error = total;
      for (let index = k * columns; index < (k + 1) * columns; index++) {
        error += (coefs[index] ?? 0) * ((product[index] ?? 0) - 2 * (cross[index] ?? 0));
      }
      if (this.whole.length <= k) this.whole.push(Math.max(0, error));
      else this.settle(k, Math.max(0, error - (this.whole[k] ?? 0)));
    });
    this.pending = [];
  }

  /** Spreads what a round added to the error of an output over the coefficients that went, by expected cost. */
  private settle(k: number, added: number): void {
    const errors = this.errors[k] ?? [];
    const costs = this.pending[k] ?? [];
    const before = errors.at(-1) ?? 0;
    const all = costs.reduce((sum, cost) => sum + cost, 0);
    let spent = 0;
    for (const cost of costs) {
      spent += cost;
      errors.push(before + Math.max(0, added - before) * (all > 0 ? spent / all : 1));
    }
  }

  removeCheapest(coefs: Float64Array, share: number): void {
    const { importance } = this.problem;
    const free: number[] = [];
    this.isFree.forEach((value, index) => {
      if (value === 1) free.push(index);
    });
    const costs = Float64Array.from(free, (index) => this.cost(coefs, index, importance));
    const order = Uint32Array.from(free, (_, position) => position);
    order.sort((a, b) => (costs[a] ?? 0) - (costs[b] ?? 0));
    this.pending = this.orders.map(() => []);
    for (const position of order.subarray(0, free.length - Math.round(free.length * share))) {
      this.remove(free[position] ?? 0, costs[position] ?? 0);
    }
  }

  private cost(coefs: Float64Array, index: number, importance: Float64Array): number {
    const { columns, gram } = this.problem;
    const column = index % columns;
    const weight = importance[Math.floor(index / columns)] ?? 0;
    return weight * (coefs[index] ?? 0) ** 2 * (gram[column * columns + column] ?? 0);
  }

  private remove(index: number, cost: number): void {
    const { columns } = this.problem;
    const k = Math.floor(index / columns);
    this.isFree[index] = 0;
    this.orders[k]?.push(index % columns);
    this.pending[k]?.push(cost);
  }

  /** The paths; what no round removed goes last, the smallest contribution first. */
  rows(coefs: Float64Array): readonly RowFit[] {
    return this.orders.map((order, k) => ({ path: this.path(order, k, coefs), error: this.whole[k] ?? 0 }));
  }

  private path(order: readonly number[], k: number, coefs: Float64Array): RemovalPath {
    const { columns, variance } = this.problem;
    const left: number[] = [];
    for (let column = 0; column < columns; column++) {
      if (this.isFree[k * columns + column] === 1) left.push(column);
    }
    const ones = new Float64Array(variance.length).fill(1);
    const cost = (column: number): number => this.cost(coefs, k * columns + column, ones);
    left.sort((a, b) => cost(a) - cost(b));
    const error = [...(this.errors[k] ?? [])];
    const all = left.reduce((sum, column) => sum + cost(column), 0);
    const rest = Math.max(0, (variance[k] ?? 0) - (this.whole[k] ?? 0) - (error.at(-1) ?? 0));
    const before = error.at(-1) ?? 0;
    let spent = 0;
    for (const column of left) {
      spent += cost(column);
      error.push(before + rest * (all > 0 ? spent / all : 1));
    }
    return { order: Int32Array.from([...order, ...left]), error: Float64Array.from(error) };
  }
}
