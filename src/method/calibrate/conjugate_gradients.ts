import { present } from "../../graph/at.js";
import type { CoefficientProblem } from "./basis_fit.js";

/** See `present`: these loops are among the longest. */
const read = present;

/**
 * Jacobi-preconditioned conjugate gradients for gram w = cross, one system for each output, on its free columns. In
 * single precision, as the products are: memory is what the steps wait for.
 */
export class ConjugateGradients {
  readonly coefs: Float32Array;
  readonly direction: Float32Array;
  /** cross - gram w on the free columns, 0 elsewhere. */
  readonly residual: Float32Array;
  private readonly energies: Float64Array;
  private readonly inverseDiagonal: Float64Array;

  /** @param isFree 1 for free columns of an output, 0 for others: [outputs, columns] */
  constructor(
    private readonly problem: CoefficientProblem,
    start: Float32Array,
    private readonly isFree: Float32Array,
  ) {
    const { columns, gram, cross } = problem;
    this.coefs = start.map((value, index) => value * read(isFree[index]));
    this.direction = new Float32Array(cross.length);
    this.residual = new Float32Array(cross.length);
    this.energies = new Float64Array(cross.length / columns);
    this.inverseDiagonal = Float64Array.from({ length: columns }, (_, i) => 1 / read(gram[i * columns + i]));
  }

  /** @param product of the coefficients with the Gram matrix */
  begin(product: Float32Array): void {
    const { problem, isFree, residual, direction, inverseDiagonal, energies } = this;
    const { columns, cross } = problem;
    for (let k = 0, index = 0; k < energies.length; k++) {
      let energy = 0;
      for (let column = 0; column < columns; column++, index++) {
        const value = read(isFree[index]) * (read(cross[index]) - read(product[index]));
        const scaled = value * read(inverseDiagonal[column]);
        residual[index] = value;
        direction[index] = scaled;
        energy += value * scaled;
      }
      energies[k] = energy;
    }
  }

  /**
   * One step; returns what it takes off the sum of the errors, each as much as it counts.
   * @param product of the direction with the Gram matrix
   */
  advance(product: Float32Array): number {
    const { columns, importance } = this.problem;
    let gained = 0;
    for (let k = 0; k < this.energies.length; k++) {
      const energy = read(this.energies[k]);
      const curvature = dot(this.direction, product, k * columns, (k + 1) * columns);
      if (!(curvature > 0) || !(energy > 0)) continue;
      gained += (read(importance[k]) * energy * energy) / curvature;
      const next = this.move(k * columns, energy / curvature, product);
      this.energies[k] = next;
      this.turn(k * columns, next / energy);
    }
    return gained;
  }

  /** Moves an output's coefficients along its direction; returns what is left of its energy. */
  private move(start: number, step: number, product: Float32Array): number {
    const { coefs, direction, residual, isFree, inverseDiagonal } = this;
    let energy = 0;
    for (let column = 0, index = start; column < inverseDiagonal.length; column++, index++) {
      coefs[index] = read(coefs[index]) + step * read(direction[index]);
      const value = read(isFree[index]) * (read(residual[index]) - step * read(product[index]));
      residual[index] = value;
      energy += value * value * read(inverseDiagonal[column]);
    }
    return energy;
  }

  /** The next direction of an output; 0 on columns that are not free, as the residual is. */
  private turn(start: number, ratio: number): void {
    const { direction, residual, inverseDiagonal } = this;
    for (let column = 0, index = start; column < inverseDiagonal.length; column++, index++) {
      const scaled = read(residual[index]) * read(inverseDiagonal[column]);
      direction[index] = scaled + ratio * read(direction[index]);
    }
  }
}

function dot(a: Float32Array, b: Float32Array, start: number, end: number): number {
  let sum = 0;
  for (let index = start; index < end; index++) sum += read(a[index]) * read(b[index]);
  return sum;
}
