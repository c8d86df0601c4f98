import { bestClass } from "./accuracy.js";
import { RelativeChange } from "./relative_change.js";

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

/** Compares a changed network's outputs with the original's, batch by batch. */
export class ChangeComparison {
  private readonly changes: readonly RelativeChange[];
  private images = 0;
  private correct = 0;
  private agreeing = 0;
  private isLabelled = false;

  constructor(
    outputs: number,
    private readonly scores: Scores | undefined,
  ) {
    this.changes = Array.from({ length: outputs }, () => new RelativeChange());
  }

  /** Both lists hold the same outputs in the same order, with the same number of elements. */
  add(batch: ComparedBatch): void {
    this.changes.forEach((change, at) => {
      change.add(batch.original[at] ?? new Float32Array(), batch.changed[at] ?? new Float32Array());
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
      errors: this.changes.map(({ result }) => Math.sqrt(result)),
    };
  }
}
