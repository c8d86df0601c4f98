import { at } from "../graph/at.js";
import { decidedClass } from "./accuracy.js";
import type { ComparedOutput } from "./output_comparison.js";
import { type PairBatch, scores } from "./pair.js";

/** The class that each network of a pair chooses for each image, by their first output with one row of class scores, [N, K]. */
export class ImageChoices {
  private readonly output: string | undefined;
  private readonly before: number[] = [];
  private readonly after: number[] = [];
  private hasRows = true;

  constructor(outputs: readonly ComparedOutput[]) {
    this.output = outputs.find(({ axis }) => axis === 1)?.output;
  }

  add({ first, second, ...extent }: PairBatch): void {
    const { output } = this;
    if (output === undefined || !this.hasRows) return;
    const [dims, others] = [first[output]?.dims, second[output]?.dims];
    this.hasRows = dims?.length === 2 && dims[0] === extent.size && `${dims}` === `${others}`;
    if (!this.hasRows || dims === undefined) return;
    const classes = at(dims, 1);
    this.before.push(...bestClasses(scores(first, output, extent), classes));
    this.after.push(...bestClasses(scores(second, output, extent), classes));
  }

  /** Undefined where no output has such rows. */
  get results(): { readonly before: Int32Array; readonly after: Int32Array } | undefined {
    if (this.output === undefined || !this.hasRows) return undefined;
    return { before: Int32Array.from(this.before), after: Int32Array.from(this.after) };
  }
}

/** -1 where scores are not numbers. */
function bestClasses(values: Float32Array, classes: number): readonly number[] {
  return Array.from({ length: values.length / classes }, (_, row) =>
    decidedClass(values.subarray(row * classes, (row + 1) * classes)),
  );
}
