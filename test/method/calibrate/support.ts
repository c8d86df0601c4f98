import type { LayerMoments } from "../../../src/measure/moments.js";
import type { BasisProblem } from "../../../src/method/calibrate/basis_fit.js";
import type { MatrixAlgebra } from "../../../src/method/calibrate/iterative_solver.js";
import { randomSource } from "../../../support/opcase.js";

/** Numbers in [-1, 1), the same for the same seed. */
export function uniform(count: number, seed: number): Float64Array {
  const next = randomSource(seed);
  return Float64Array.from({ length: count }, () => 2 * next() - 1);
}

/** A positive definite [n, n] matrix: the second moments of mixed random columns. */
export function definite(n: number, seed: number): Float64Array {
  const samples = 3 * n;
  const columns = uniform(samples * n, seed);
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let s = 0; s < samples; s++) {
        const at = (index: number): number => (columns[s * n + index] ?? 0) + 0.5 * (columns[s * n] ?? 0);
        sum += at(i) * at(j);
      }
      matrix[i * n + j] = sum / samples;
    }
  }
  return matrix;
}

/** A . v for a row-major symmetric matrix. */
export function times(matrix: Float64Array, v: Float64Array): Float64Array {
  const n = v.length;
  return v.map((_, i) => v.reduce((sum, value, j) => sum + value * (matrix[i * n + j] ?? 0), 0));
}

export function inner(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}

/** Squared error of coefficients w: variance - 2 w.c + w.G w. */
export function errorOf(gram: Float64Array, cross: Float64Array, variance: number, w: Float64Array): number {
  return variance - 2 * inner(w, cross) + inner(w, times(gram, w));
}

/** A layer of random inputs whose wanted outputs are those of a random weight, plus noise of this variance. */
export function layerProblem(
  { outputs, channels, taps, noise = 0 }: { outputs: number; channels: number; taps: number; noise?: number },
  seed: number,
  weight = uniform(outputs * channels * taps, seed),
): BasisProblem {
  const n = channels * taps;
  const gram = definite(n, seed + 1);
  const rows = Array.from({ length: outputs }, (_, k) => weight.subarray(k * n, (k + 1) * n));
  const cross = Float64Array.from(rows.flatMap((row) => [...times(gram, row)]));
  const moments: LayerMoments = {
    rows: 1000,
    n,
    outputs,
    gram,
    cross,
    variance: Float64Array.from(rows, (row) => inner(row, times(gram, row)) + noise),
    inputMean: new Float64Array(n),
    targetMean: new Float64Array(outputs),
  };
  return { moments, taps, channels, importance: new Float64Array(outputs).fill(1), weight };
}

/** rows [count, inner] . matrix [inner, width]. */
function product(rows: Float32Array, matrix: Float32Array | Float64Array, inner: number): Float32Array {
  const width = matrix.length / inner;
  return Float32Array.from({ length: (rows.length / inner) * width }, (_, at) => {
    let sum = 0;
    for (let i = 0; i < inner; i++)
      sum += (rows[Math.floor(at / width) * inner + i] ?? 0) * (matrix[i * width + (at % width)] ?? 0);
    return sum;
  });
}

/** Sums in double precision, rounded to single. */
export const singleAlgebra: MatrixAlgebra = {
  multiply: async (rows, matrix, inner) => product(rows, matrix, inner),
  multiplySymmetric: async (rows, matrix) => product(rows, matrix, Math.sqrt(matrix.length)),
  project: async (matrix, basis, taps) => {
    const [n, d] = [Math.sqrt(matrix.length), basis.length / taps];
    const columns = (n / taps) * d;
    return Float32Array.from({ length: columns * columns }, (_, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns];
      const [i, j] = [row, column].map((index) => Math.floor(index / d) * taps);
      const [left, right] = [row, column].map((index) => (index % d) * taps);
      let sum = 0;
      for (let r = 0; r < taps; r++) {
        for (let s = 0; s < taps; s++)
          sum +=
            (basis[(left ?? 0) + r] ?? 0) *
            (basis[(right ?? 0) + s] ?? 0) *
            (matrix[((i ?? 0) + r) * n + (j ?? 0) + s] ?? 0);
      }
      return sum;
    });
  },
};
