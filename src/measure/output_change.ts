import { bestClass } from "./accuracy.js";

/** How a changed network's outputs differ from the original's on the same images. */
export interface OutputChange {
  /** Share of images whose best class is their label; undefined where there is nothing to compare with. */
  readonly top1: number | undefined;
  /** Share of images whose best class is the original's; undefined for other networks than classifiers. */
  readonly agreement: number | undefined;
  /**
   * For each output the root mean square of its change over the standard deviation of the original's elements: 0
   * where nothing changed, about 1 where it says nothing any more. An output that is constant in the original is
   * compared with its own magnitude.
   */
  readonly errors: readonly number[];
}

/** Class scores among a network's outputs. */
export interface Scores {
  /** Position of the output. */
  readonly output: number;
  readonly classes: number;
}

/** One batch of outputs, and the classes of its images as far as they are known. */
export interface ComparedBatch {
  readonly original: readonly Float32Array[];
  readonly changed: readonly Float32Array[];
  readonly labels: BigInt64Array | undefined;
}

/** Sums over all elements of one output. */
interface Sums {
  count: number;
  value: number;
  square: number;
  changeSquare: number;
}

/** Compares outputs batch by batch. */
export class OutputComparison {
  private readonly sums: readonly Sums[];
  private images = 0;
  private correct = 0;
  private agreeing = 0;
  private isLabelled = false;

  constructor(
    outputs: number,
    private readonly scores: Scores | undefined,
  ) {
    this.sums = Array.from({ length: outputs }, () => ({ count: 0, value: 0, square: 0, changeSquare: 0 }));
  }

  /** Both lists hold the same outputs in the same order, with the same number of elements. */
  add(batch: ComparedBatch): void {
    this.sums.forEach((sums, at) => {
      addSums(sums, batch.original[at] ?? new Float32Array(), batch.changed[at] ?? new Float32Array());
    });
    if (this.scores !== undefined) this.addClasses(this.scores, batch);
  }

  private addClasses({ output, classes }: Scores, { original, changed, labels }: ComparedBatch): void {
    const before = original[output] ?? new Float32Array();
    const after = changed[output] ?? new Float32Array();
    this.isLabelled = labels !== undefined;
    for (let start = 0; start < before.length; start += classes) {
      const found = bestClass(after.subarray(start, start + classes));
      const expected = bestClass(before.subarray(start, start + classes));
      if (found === expected) this.agreeing += 1;
      if (labels?.[start / classes] === BigInt(found)) this.correct += 1;
      this.images += 1;
    }
  }

  result(): OutputChange {
    const share = (count: number): number => (this.images === 0 ? 0 : count / this.images);
    return {
      top1: this.isLabelled ? share(this.correct) : undefined,
      agreement: this.scores === undefined ? undefined : share(this.agreeing),
      errors: this.sums.map(relativeError),
    };
  }
}

function addSums(sums: Sums, original: Float32Array, changed: Float32Array): void {
  original.forEach((value, index) => {
    sums.value += value;
    sums.square += value * value;
    sums.changeSquare += ((changed[index] ?? NaN) - value) ** 2;
  });
  sums.count += original.length;
}

function relativeError({ count, value, square, changeSquare }: Sums): number {
  if (changeSquare === 0) return 0;
  const mean = value / count;
  const variance = square / count - mean * mean;
  // Below the rounding of the sums, the difference is no variance.
  const scale = variance > 1e-12 * (square / count) ? variance : square / count;
  return Math.sqrt(changeSquare / count / scale);
}
