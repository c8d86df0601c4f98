import { present } from "../../graph/at.js";
import { type BasisProblem, type CoefficientProblem, projectRows } from "./basis_fit.js";
import { ConjugateGradients } from "./conjugate_gradients.js";
import { RoundwiseRemoval } from "./roundwise_removal.js";
import { type CoefficientSolver, type Solution, weightedError } from "./solver.js";

/** See `present`: these loops are among the longest. */
const read = present;

/** Matrix products in single precision. A matrix of double precision must not change between two products. */
export interface MatrixAlgebra {
  /** rows [count, inner] . matrix [inner, width], all row-major. */
  multiply(rows: Float32Array, matrix: Float32Array, inner: number): Promise<Float32Array>;
  /** rows [count, n] . matrix [n, n], both row-major, the matrix symmetric. */
  multiplySymmetric(rows: Float32Array, matrix: Float32Array | Float64Array): Promise<Float32Array>;
  /**
   * The matrix [channels * d, channels * d] of which a symmetric one [channels * taps, channels * taps] is left when
   * each channel's taps are projected on a basis [d, taps].
   */
  project(matrix: Float64Array, basis: Float64Array, taps: number): Promise<Float32Array>;
}

/** Share of the coefficients that stay after each round of removal, down to a fiftieth in all: at this pace little compensation between rounds does. */
const KEPT_EACH_ROUND = 0.85;
const REMOVAL_ROUNDS = 24;
/** Shares are tried down to this part of what will stay, as not all outputs keep the same. */
const BEYOND = 0.75;
/** How many conjugate gradient steps are made: until one takes off no more than this share of all before it. */
interface Effort {
  readonly steps: number;
  readonly gain: number;
}

/** For all coefficients, after some were removed, and for those that stay. */
const EFFORTS = {
  dense: { fromNothing: { steps: 40, gain: 1e-6 }, fromNear: { steps: 12, gain: 0.01 } },
  round: { steps: 8, gain: 0.1 },
  sparse: { fromNothing: { steps: 25, gain: 1e-6 }, fromNear: { steps: 10, gain: 0.01 } },
};
const NONE: Effort = { steps: 0, gain: 0 };

/**
 * For layers too wide for one inverse for each output: conjugate gradients on all outputs at once, one matrix product
 * a step, and removal in rounds: what is left compensates after each round instead of after each removal. A
 * coefficient's removal is taken to cost w_i^2 gram_ii, what it would cost if inputs were independent.
 */
export function iterativeSolver(algebra: MatrixAlgebra): CoefficientSolver {
  const solve = async (
    problem: CoefficientProblem,
    start: Float32Array,
    isFree: Float32Array,
    { steps, gain }: Effort,
  ): Promise<ConjugateGradients> => {
    const { gram } = problem;
    const state = new ConjugateGradients(problem, start, isFree);
    state.begin(await algebra.multiplySymmetric(state.coefs, gram));
    let gained = 0;
    for (let step = 0; step < steps; step++) {
      const last = state.advance(await algebra.multiplySymmetric(state.direction, gram));
      gained += last;
      if (last <= gain * gained) break;
    }
    return state;
  };
  const startFrom = ({ cross }: CoefficientProblem, start: Float64Array | undefined): Float32Array =>
    start === undefined ? new Float32Array(cross.length) : new Float32Array(start);
  return {
    rounds: 3,
    dense: async (problem, start) => {
      const isFree = new Float32Array(problem.cross.length).fill(1);
      const effort = start === undefined ? EFFORTS.dense.fromNothing : EFFORTS.dense.fromNear;
      return solution(problem, await solve(problem, startFrom(problem, start), isFree, effort));
    },
    paths: async (problem, coefs, least) => {
      const removal = new RoundwiseRemoval(problem);
      let state = await solve(problem, new Float32Array(coefs), removal.isFree, NONE);
      removal.measure(state.coefs, state.residual);
      for (let round = 0; round < REMOVAL_ROUNDS; round++) {
        if (KEPT_EACH_ROUND ** round <= BEYOND * least) break;
        removal.removeCheapest(state.coefs, KEPT_EACH_ROUND);
        state = await solve(problem, state.coefs, removal.isFree, EFFORTS.round);
        removal.measure(state.coefs, state.residual);
      }
      return removal.rows(state.coefs);
    },
    on: async (problem, supports, start) => {
      const isFree = new Float32Array(problem.cross.length);
      supports.forEach((support, k) => {
        for (const column of support) isFree[k * problem.columns + column] = 1;
      });
      const effort = start === undefined ? EFFORTS.sparse.fromNothing : EFFORTS.sparse.fromNear;
      return solution(problem, await solve(problem, startFrom(problem, start), isFree, effort));
    },
    problem: async ({ moments, taps, channels, importance }, basis, d) => ({
      columns: channels * d,
      gram:
        basis.length === 1 && basis[0] === 1
          ? moments.gram
          : await algebra.project(moments.gram, basis, taps),
      cross: projectRows(moments.cross, moments.outputs, { taps, channels, basis, d }),
      variance: moments.variance,
      importance,
    }),
    basisProducts: (group, coefs, d) => basisProducts(algebra, group, coefs, d),
  };
}

function solution(problem: CoefficientProblem, { coefs, residual }: ConjugateGradients): Solution {
  return { coefs: new Float64Array(coefs), error: weightedError(problem, coefs, residual) };
}

/**
 * `CoefficientSolver.basisProducts` by two products: M, the sum over outputs of coefs coefs', and with pairs of
 * channels as what is summed over, [d^2, channels^2] . [channels^2, taps^2].
 */
async function basisProducts(
  algebra: MatrixAlgebra,
  { channels, taps, importance, moments }: BasisProblem,
  coefs: Float64Array,
  d: number,
): Promise<Float64Array> {
  const { outputs } = moments;
  const columns = channels * d;
  // Both with (basis, channel) pairs in this order, so that a channel's neighbours stay together.
  const left = new Float32Array(columns * outputs);
  const right = new Float32Array(outputs * columns);
  for (let k = 0; k < outputs; k++) {
    const scale = read(importance[k]);
    for (let c = 0; c < channels; c++) {
      for (let b = 0; b < d; b++) {
        const value = read(coefs[(k * channels + c) * d + b]);
        right[k * columns + b * channels + c] = value;
        left[(b * channels + c) * outputs + k] = scale * value;
      }
    }
  }
  const squares = await algebra.multiply(left, right, outputs);
  const pairs = new Float32Array(squares.length);
  for (let b = 0; b < d; b++) {
    for (let c = 0; c < channels; c++) {
      for (let other = 0; other < d; other++) {
        const from = (b * channels + c) * columns + other * channels;
        const to = ((b * d + other) * channels + c) * channels;
        pairs.set(squares.subarray(from, from + channels), to);
      }
    }
  }
  const sums = await algebra.multiply(pairs, channelPairs(moments.gram, channels, taps), channels * channels);
  const size = d * taps;
  const at = (b: number, r: number, other: number, s: number): number =>
    read(sums[(b * d + other) * taps * taps + r * taps + s]);
  return Float64Array.from({ length: size * size }, (_, index) => {
    const [row, column] = [Math.floor(index / size), index % size];
    const [b, r] = [Math.floor(row / taps), row % taps];
    const [other, s] = [Math.floor(column / taps), column % taps];
    // Rounding is not symmetric.
    return (at(b, r, other, s) + at(other, s, b, r)) / 2;
  });
}

/** Rearranged Gram matrices, as long as these are needed: a layer's is used for every basis that is tried. */
const rearranged = new WeakMap<Float64Array, Float32Array>();

/** A Gram matrix [channels, taps, channels, taps] as [channels, channels, taps, taps]. */
function channelPairs(gram: Float64Array, channels: number, taps: number): Float32Array {
  const known = rearranged.get(gram);
  if (known !== undefined) return known;
  const pairs = new Float32Array(gram.length);
  let from = 0;
  for (let c = 0; c < channels; c++) {
    for (let r = 0; r < taps; r++) {
      for (let other = 0; other < channels; other++) {
        const to = ((c * channels + other) * taps + r) * taps;
        for (let s = 0; s < taps; s++) pairs[to + s] = read(gram[from++]);
      }
    }
  }
  rearranged.set(gram, pairs);
  return pairs;
}
