import { entryOf } from "../graph/at.js";
import { OutputComparison } from "./output_comparison.js";
import type { OutputUnit } from "./output_deviation.js";
import { type PairBatch, scores } from "./pair.js";
import { PredictionTally } from "./predictions.js";

/** How a changed network's outputs differ from the original's on the same images. */
export interface OutputChange {
  /** Share of images whose best class is their label; undefined where there is nothing to compare with. */
  readonly top1: number | undefined;
  /** Share of images whose best class is the original's; undefined for other networks than classifiers. */
  readonly agreement: number | undefined;
  /** The error of each output, as `OutputAgreement` has it; NaN where there is none. */
  readonly errors: readonly number[];
}

/** Class scores among a network's outputs. */
export interface Scores {
  readonly output: string;
  readonly classes: number;
}

/** What of a network's outputs is compared. */
export interface Compared {
  readonly outputs: readonly string[];
  /** The unit of each output's errors, by its name: see `ErrorUnit`. */
  readonly units: ReadonlyMap<string, OutputUnit>;
  readonly scores: Scores | undefined;
  /** Whether the classes of the images are known. */
  readonly isLabelled: boolean;
}

/** Compares a changed network's outputs with the original's, batch by batch. */
export class ChangeComparison {
  private readonly errors: OutputComparison;
  private readonly predictions = new PredictionTally();

  constructor(private readonly compared: Compared) {
    const { outputs, units } = compared;
    this.errors = new OutputComparison(outputs.map((output) => ({ output, ...entryOf(units, output) })));
  }

  /** @param labels the images' classes, if they are known */
  add(batch: PairBatch, labels: BigInt64Array | undefined): void {
    this.errors.add(batch);
    const { scores: compared } = this.compared;
    if (compared === undefined) return;
    const { output, classes } = compared;
    const [before, after] = [scores(batch.first, output, batch), scores(batch.second, output, batch)];
    this.predictions.add(before, after, classes, labels);
  }

  get result(): OutputChange {
    const { images, same, correct } = this.predictions;
    const { isLabelled, scores } = this.compared;
    return {
      top1: isLabelled ? share(correct, images) : undefined,
      agreement: scores === undefined ? undefined : share(same, images),
      errors: this.errors.results.map(({ error }) => (error === null ? Number.NaN : error)),
    };
  }
}

const share = (count: number, images: number): number => (images === 0 ? 0 : count / images);
