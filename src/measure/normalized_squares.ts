import { orDefault } from "../graph/at.js";

/**
 * The mean squared change of values in units of the variance of all original values, from sums that grow with every batch:
 * what calibration weighs layers by. It adds up over layers and outputs as errors, which are roots, do not.
 */
export class NormalizedSquares {
  private count = 0;
  private value = 0;
  private square = 0;
  private changeSquare = 0;

  /** Values whose number depends on what they are cannot be compared where it is another: then the result is NaN. */
  add(original: Float32Array, changed: Float32Array): void {
    original.forEach((value, index) => {
      this.value += value;
      this.square += value * value;
      this.changeSquare += (orDefault(changed[index], NaN) - value) ** 2;
    });
    this.count += original.length;
  }

  /**
   * 0 where nothing changed, 1 where the changed values say no more than the originals' mean. Originals that are all
   * the same are compared with their own magnitude.
   */
  get result(): number {
    if (this.changeSquare === 0) return 0;
    const { count } = this;
    const [mean, square] = [this.value / count, this.square / count];
    const variance = square - mean * mean;
    // Below the rounding of the sums, the difference is no variance.
    const scale = variance > 1e-12 * square ? variance : square;
    return this.changeSquare / count / scale;
  }
}
