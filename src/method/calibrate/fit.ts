import { at, present } from "../../graph/at.js";
import { mergeFactors } from "../../layers/decomposition.js";
import { type BasisProblem, bestBasis, type CoefficientProblem } from "./basis_fit.js";
import { orthonormalise, weightedBasis } from "./first_basis.js";
import { type CoefficientSolver, exactSolver, type RowFit, type Solution } from "./solver.js";

/**
 * Alternating least squares, for a basis with all coefficients and again for the sparse ones, ends when a round takes
 * less than this share off the error.
 */
const LEAST_GAIN = 0.005;

/** A basis, how well a layer can be computed with it, and what each coefficient is worth. */
export interface BasisFit {
  readonly d: number;
  /** Row-major [d, taps]; orthonormal rows. A layer of single taps has the basis [1]. */
  readonly basis: Float64Array;
  readonly problems: readonly CoefficientProblem[];
  /** For each output of the layer, in order, over all groups. */
  readonly rows: readonly RowFit[];
}

/** Coefficients and basis of a layer after removal. */
export interface SparseFit {
  readonly d: number;
  /** [d, taps]. */
  readonly basis: Float64Array;
  /** [K, C, d] with C the channels of a group; what was removed is exactly zero. */
  readonly coefs: Float64Array;
}

/** Groups with more coefficients for each output than this take the solver for wide layers. */
const WIDE_COLUMNS = 640;
/** And those whose exact solution takes more: outputs * columns^3, three times the multiply-accumulates; some seconds. */
const MOST_EXACT_WORK = 1e10;

/** Whether a group of so many outputs is solved in rounds, by matrix products, and not exactly. */
export function isWide(columns: number, outputs: number): boolean {
  return columns > WIDE_COLUMNS || outputs * columns ** 3 > MOST_EXACT_WORK;
}

/** What a basis fit need not find out. */
export interface FitLimits {
  /** A basis [d, taps] to take as it is, in place of the best. */
  readonly basis?: Float64Array | undefined;
  /** Share of all coefficients that will stay (0: any number may): how the others go need not be known well. */
  readonly least?: number;
}

/**
 * The best basis of d kernels for a layer (alternating least squares for basis and coefficients, from the
 * activation-weighted decomposition), and the order in which its coefficients can be spared.
 * @param wide solves wide layers (see `isWide`)
 */
export async function fitBasis(
  groups: readonly BasisProblem[],
  d: number,
  wide: CoefficientSolver,
  { basis: given, least = 0 }: FitLimits = {},
): Promise<BasisFit> {
  const pointwise = groups.every(({ taps }) => taps === 1);
  let basis = given ?? (pointwise ? Float64Array.of(1) : weightedBasis(groups, d));
  const solver = solverFor(groups, d, wide);
  let problems = await problemsOn(groups, basis, d, solver);
  // A given basis need not be orthonormal: nothing is known that comes near.
  const first = given === undefined ? groups.map(({ weight }) => projected(weight, basis, d)) : [];
  let { coefs, error } = await allDense(problems, solver, first);
  for (let round = 0; round < solver.rounds && !pointwise && given === undefined; round++) {
    const before = { d, basis, error };
    basis = await basisFor(groups, coefs, d, solver);
    orthonormalise(basis, d, basis.length / d);
    const near = coefs.map((own) => projected(fittedKernels({ ...before, coefs: own }), basis, d));
    problems = await problemsOn(groups, basis, d, solver);
    ({ coefs, error } = await allDense(problems, solver, near));
    if (!hasGained(before.error, error)) break;
  }
  const rows: RowFit[] = [];
  for (const [group, problem] of problems.entries()) {
    rows.push(...(await solver.paths(problem, at(coefs, group), least)));
  }
  return { d, basis, problems, rows };
}

const hasGained = (before: number, after: number): boolean => before - after >= LEAST_GAIN * before;

/** The coefficients [count, d] of kernels [count, taps] on an orthonormal basis [d, taps]. */
function projected(kernels: ArrayLike<number>, basis: Float64Array, d: number): Float64Array {
  const taps = basis.length / d;
  const coefs = new Float64Array((kernels.length / taps) * d);
  for (let place = 0; place < coefs.length; place++) {
    const [kernel, row] = [Math.floor(place / d) * taps, (place % d) * taps];
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) sum += present(kernels[kernel + tap]) * present(basis[row + tap]);
    coefs[place] = sum;
  }
  return coefs;
}

/** All groups of a layer are of one size. */
function solverFor(groups: readonly BasisProblem[], d: number, wide: CoefficientSolver): CoefficientSolver {
  return groups.some(({ channels, moments }) => isWide(channels * d, moments.outputs)) ? wide : exactSolver;
}

async function basisFor(
  groups: readonly BasisProblem[],
  coefs: readonly Float64Array[],
  d: number,
  solver: CoefficientSolver,
): Promise<Float64Array> {
  const products: Float64Array[] = [];
  for (const [index, group] of groups.entries())
    products.push(await solver.basisProducts(group, at(coefs, index), d));
  return bestBasis(groups, coefs, products, d);
}

async function allDense(
  problems: readonly CoefficientProblem[],
  solver: CoefficientSolver,
  near: readonly Float64Array[],
): Promise<GroupSolutions> {
  const solutions: Solution[] = [];
  for (const [group, problem] of problems.entries()) solutions.push(await solver.dense(problem, near[group]));
  return together(solutions);
}

/** The coefficients of each group, and the error of all. */
interface GroupSolutions {
  readonly coefs: readonly Float64Array[];
  readonly error: number;
}

function together(solutions: readonly Solution[]): GroupSolutions {
  return {
    coefs: solutions.map(({ coefs }) => coefs),
    error: solutions.reduce((sum, { error }) => sum + error, 0),
  };
}

async function problemsOn(
  groups: readonly BasisProblem[],
  basis: Float64Array,
  d: number,
  solver: CoefficientSolver,
): Promise<readonly CoefficientProblem[]> {
  const problems: CoefficientProblem[] = [];
  for (const group of groups) problems.push(await solver.problem(group, basis, d));
  return problems;
}

/**
 * Keeps `kept[k]` coefficients of each output k, as its path has them, and fits coefficients and basis once more,
 * by turns, for some rounds at most.
 */
export async function fitSparse(
  groups: readonly BasisProblem[],
  fit: BasisFit,
  kept: readonly number[],
  wide: CoefficientSolver,
  rounds?: number,
): Promise<SparseFit> {
  const supports = fit.rows.map(({ path }, k) => path.order.slice(path.order.length - at(kept, k)).sort());
  return fitOnSupports(groups, fit, supports, wide, rounds);
}

/**
 * Fits coefficients that are zero outside each output's support, and the basis, by turns, for some rounds at most.
 * @param start the basis to begin with
 */
export async function fitOnSupports(
  groups: readonly BasisProblem[],
  start: Pick<BasisFit, "d" | "basis">,
  supports: readonly Int32Array[],
  wide: CoefficientSolver,
  rounds?: number,
): Promise<SparseFit> {
  const { d } = start;
  let { basis } = start;
  const solver = solverFor(groups, d, wide);
  let problems = await problemsOn(groups, basis, d, solver);
  let { coefs, error } = await allSparse(problems, supports, solver);
  const pointwise = groups.every(({ taps }) => taps === 1);
  for (let round = 0; round < (rounds ?? solver.rounds) && !pointwise; round++) {
    const before = error;
    basis = await basisFor(groups, coefs, d, solver);
    const norms = normaliseKernels(basis, d);
    problems = await problemsOn(groups, basis, d, solver);
    const near = coefs.map((own) => own.map((value, index) => value * present(norms[index % d])));
    ({ coefs, error } = await allSparse(problems, supports, solver, near));
    if (!hasGained(before, error)) break;
  }
  return { d, basis, coefs: concatenated(coefs) };
}

async function allSparse(
  problems: readonly CoefficientProblem[],
  supports: readonly Int32Array[],
  solver: CoefficientSolver,
  near: readonly Float64Array[] = [],
): Promise<GroupSolutions> {
  const solutions: Solution[] = [];
  let first = 0;
  for (const [group, problem] of problems.entries()) {
    const outputs = problem.variance.length;
    const own = supports.slice(first, first + outputs);
    solutions.push(await solver.on(problem, own, near[group]));
    first += outputs;
  }
  return together(solutions);
}

/** Unit kernels; their directions must stay as they are, because the zeros belong to them. Returns what they were divided by. */
function normaliseKernels(basis: Float64Array, d: number): readonly number[] {
  const taps = basis.length / d;
  return Array.from({ length: d }, (_, b) => {
    const row = basis.subarray(b * taps, (b + 1) * taps);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    row.forEach((value, tap) => {
      row[tap] = norm > 0 ? value / norm : 0;
    });
    return norm;
  });
}

/** The kernels [K, C, taps] with the smallest error when none is removed. */
export async function denseKernels(
  groups: readonly BasisProblem[],
  wide: CoefficientSolver,
): Promise<Float32Array> {
  const problems = groups.map(({ moments: { n, gram, cross, variance }, importance }) => ({
    columns: n,
    gram,
    cross,
    variance,
    importance,
  }));
  const before = groups.map(({ weight }) => Float64Array.from(weight));
  const solver = solverFor(groups, at(groups, 0).taps, wide);
  const { coefs } = await allDense(problems, solver, before);
  return Float32Array.from(concatenated(coefs));
}

/** The kernels [K * C, taps] that coefficients [K * C, d] and a basis [d, taps] stand for. */
export function fittedKernels({ d, basis, coefs }: SparseFit): Float32Array {
  return mergeFactors(coefs, basis, basis.length / d);
}

function concatenated(parts: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}
