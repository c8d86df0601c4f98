import { decidedClass } from "./accuracy.js";

/**
 * Counts the images whose best class two networks agree on, and those that the second one is right about. Scores that are
 * not numbers agree with nothing.
 */
export class PredictionTally {
  images = 0;
  /** Images whose best class is the same. */
  same = 0;
  /** Images whose best class of the second network is their label. */
  correct = 0;

  /** @param first as `second`: class scores, image after image, `classes` of each */
  add(first: Float32Array, second: Float32Array, classes: number, labels?: BigInt64Array): void {
    for (let start = 0; start < first.length; start += classes) {
      const found = decidedClass(second.subarray(start, start + classes));
      const expected = decidedClass(first.subarray(start, start + classes));
      if (found === expected && found >= 0) this.same += 1;
      if (labels?.[start / classes] === BigInt(found)) this.correct += 1;
      this.images += 1;
    }
  }
}
