import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { at, present } from "../../graph/at.js";
import type { BasisProblem } from "./basis_fit.js";

/**
 * A first basis, row-major [d, taps], orthonormal: the directions that keep most of the kernels' effect when a tap
 * pair counts as much as the inputs it meets: with S the second moments of the taps, averaged over channels, the
 * leading eigenvectors of S^1/2 (sum of w w') S^1/2, taken back by S^-1/2. All groups of a layer share it.
 */
export function weightedBasis(groups: readonly BasisProblem[], d: number): Float64Array {
  const { taps } = at(groups, 0);
  const moments = sumOver(groups, tapMoments);
  const { values, vectors } = eigen(moments);
  const largest = Math.max(...values);
  const roots = values.map((value) => Math.sqrt(Math.max(value, 1e-9 * largest, Number.MIN_VALUE)));
  const scaled = (power: number): Matrix =>
    vectors.mmul(Matrix.diag(roots.map((root) => root ** power))).mmul(vectors.transpose());
  const root = scaled(1);
  const weighted = root.mmul(sumOver(groups, kernelMoments)).mmul(root);
  const spectrum = eigen(weighted);
  const order = spectrum.values.map((_, index) => index);
  order.sort((a, b) => present(spectrum.values[b]) - present(spectrum.values[a]));
  const back = scaled(-1);
  const leading = order.slice(0, d).map((index) => spectrum.vectors.getColumn(index));
  const rows = leading.map((vector) => back.mmul(Matrix.columnVector(vector)).to1DArray());
  const basis = Float64Array.from(rows.flat());
  orthonormalise(basis, d, taps);
  return basis;
}

function eigen(matrix: Matrix): { values: number[]; vectors: Matrix } {
  const decomposition = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  return { values: decomposition.realEigenvalues, vectors: decomposition.eigenvectorMatrix };
}

function sumOver(groups: readonly BasisProblem[], part: (group: BasisProblem) => Matrix): Matrix {
  return groups.map(part).reduce((sum, matrix) => sum.add(matrix));
}

/** Average over channels of the blocks [taps, taps] on the diagonal of the Gram matrix. */
function tapMoments({ moments: { gram, n }, taps, channels }: BasisProblem): Matrix {
  return accumulate(taps, (sums) => {
    for (let c = 0; c < channels; c++) {
      for (let r = 0; r < taps; r++) {
        for (let s = 0; s < taps; s++) {
          const place = r * taps + s;
          sums[place] = present(sums[place]) + present(gram[(c * taps + r) * n + c * taps + s]) / channels;
        }
      }
    }
  });
}

/** Sum over kernels of w w', [taps, taps], each with the importance of its output. */
function kernelMoments({ taps, importance, weight, moments: { n } }: BasisProblem): Matrix {
  return accumulate(taps, (sums) => {
    for (let start = 0; start < weight.length; start += taps) {
      const scale = present(importance[Math.floor(start / n)]);
      for (let r = 0; r < taps; r++) {
        const left = scale * present(weight[start + r]);
        for (let s = 0; s < taps; s++) {
          const place = r * taps + s;
          sums[place] = present(sums[place]) + left * present(weight[start + s]);
        }
      }
    }
  });
}

function accumulate(size: number, fill: (sums: Float64Array) => void): Matrix {
  const sums = new Float64Array(size * size);
  fill(sums);
  return Matrix.from1DArray(size, size, sums);
}

/** Makes the rows of a row-major [d, taps] matrix orthonormal, by Gram-Schmidt, twice for the digits. */
export function orthonormalise(basis: Float64Array, d: number, taps: number): void {
  for (let b = 0; b < d; b++) {
    const row = basis.subarray(b * taps, (b + 1) * taps);
    for (let pass = 0; pass < 2; pass++) {
      for (let a = 0; a < b; a++) {
        const other = basis.subarray(a * taps, (a + 1) * taps);
        const overlap = row.reduce((sum, value, tap) => sum + value * present(other[tap]), 0);
        row.forEach((value, tap) => {
          row[tap] = value - overlap * present(other[tap]);
        });
      }
      const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
      row.forEach((value, tap) => {
        row[tap] = norm > 0 ? value / norm : 0;
      });
    }
  }
}
