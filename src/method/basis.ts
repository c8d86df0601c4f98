import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { float32Data } from "../graph/tensor.js";
import type { Tensor } from "../graph/types.js";

/** See `present`: these loops are among the longest. */
const read = present;

/** Orthonormal directions of the rows of a matrix and how much of the matrix each carries. */
export interface Spectrum {
  /** Singular values, largest first; one for each column of the matrix. */
  readonly values: readonly number[];
  /** Right singular vectors, one for each singular value. */
  readonly vectors: readonly Float64Array[];
}

/** A rank-d factorisation `rows ~ coefs . basis`. */
export interface Factors {
  /** [rows, d], row-major; singular values included. */
  readonly coefs: Float32Array;
  /** [d, columns], row-major, orthonormal rows. */
  readonly basis: Float32Array;
}

/** The Gram matrix A'A of a row-major [rows, columns] matrix, in float64. */
function gramMatrix(rows: Float32Array, columns: number): Matrix {
  const sums = new Float64Array(columns * columns);
  for (let start = 0; start < rows.length; start += columns) {
    for (let i = 0; i < columns; i++) {
      const left = read(rows[start + i]);
      for (let j = i; j < columns; j++) {
        const at = i * columns + j;
        sums[at] = read(sums[at]) + left * read(rows[start + j]);
      }
    }
  }
  const upper = (i: number, j: number): number => read(sums[Math.min(i, j) * columns + Math.max(i, j)]);
  return new Matrix(
    Array.from({ length: columns }, (_, i) => Array.from({ length: columns }, (_, j) => upper(i, j))),
  );
}

/**
 * Singular values and right singular vectors of a row-major [rows, columns] matrix, *uncentred*: the
 * eigenvectors of its Gram matrix. Squaring costs half the digits of the smallest values only, which is
 * harmless in float64 for float32 data.
 */
export function spectrum(rows: Float32Array, columns: number): Spectrum {
  const gram = gramMatrix(rows, columns);
  if (!gram.to1DArray().every(Number.isFinite)) {
    throw new PenniError("bad-model", "a weight holds numbers that are not finite", {
      advice: "The model is damaged: export it again",
    });
  }
  const evd = new EigenvalueDecomposition(gram, { assumeSymmetric: true });
  const order = evd.realEigenvalues.map((_, index) => index);
  order.sort((a, b) => read(evd.realEigenvalues[b]) - read(evd.realEigenvalues[a]));
  return {
    values: order.map((index) => Math.sqrt(Math.max(0, read(evd.realEigenvalues[index])))),
    vectors: order.map((index) => Float64Array.from(evd.eigenvectorMatrix.getColumn(index))),
  };
}

/** The best rank-d approximation of a row-major matrix in the least-squares sense (Eckart-Young). */
export function factorise(rows: Float32Array, columns: number, d: number): Factors {
  const directions = spectrum(rows, columns).vectors.slice(0, d);
  const basis = Float32Array.from(directions.flatMap((vector) => [...vector]));
  return { coefs: project(rows, columns, directions), basis };
}

/** Coefficients [rows, d] of each row on d directions. */
function project(rows: Float32Array, columns: number, directions: readonly Float64Array[]): Float32Array {
  const count = rows.length / columns;
  const coefs = new Float32Array(count * directions.length);
  for (let row = 0; row < count; row++) {
    directions.forEach((direction, b) => {
      let sum = 0;
      for (let tap = 0; tap < columns; tap++) sum += read(rows[row * columns + tap]) * read(direction[tap]);
      coefs[row * directions.length + b] = sum;
    });
  }
  return coefs;
}

/** Singular values of the kernels of a float32 weight [K, C, ...kernel] as a (K*C) x (R*S) matrix. */
export function singularValues(weight: Tensor): readonly number[] {
  return spectrum(float32Data(weight), kernelTaps(weight)).values;
}

/** Elements of one kernel, R*S. */
export function kernelTaps(weight: Tensor): number {
  return weight.dims.slice(2).reduce((product, dim) => product * dim, 1);
}
