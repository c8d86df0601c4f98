import { orDefault } from "../graph/at.js";
import type { StepOutcome } from "./batch_values.js";
import type { Checkpoint } from "./checkpoint.js";
import type { EpochMetrics, EpochTiming, Recovery } from "./plan.js";

/** Sums over the steps of an epoch so far. */
export type EpochSums = Pick<Checkpoint, "lossSum" | "hits" | "images">;

/** Means over the images of an epoch so far. */
export interface EpochMeans {
  readonly loss: number;
  /** Top-1; absent where the labels are no reference. */
  readonly accuracy?: number;
}

const NOTHING: EpochSums = { lossSum: 0, hits: 0, images: 0 };
const NO_TIME = { steps: 0, milliseconds: 0 };

/** What the present epoch adds up to, and the epochs that are done: those in a checkpoint, and those in none yet. */
export class EpochBooks {
  private running = NOTHING;
  /** Of the present epoch, in this process. */
  private clock = NO_TIME;
  private done: readonly EpochMetrics[] = [];
  private unreported: readonly EpochMetrics[] = [];

  /** @param isLabelled whether the labels are the reference, without which there is no accuracy */
  constructor(private readonly isLabelled: boolean) {}

  get sums(): EpochSums {
    return this.running;
  }

  /** Epochs that are done, in order. */
  get history(): readonly EpochMetrics[] {
    return this.done;
  }

  /** Whether there are epochs that are done but in no checkpoint yet. */
  get hasUnreported(): boolean {
    return this.unreported.length > 0;
  }

  get means(): EpochMeans {
    const { lossSum, hits, images } = this.running;
    return { loss: lossSum / images, ...(this.isLabelled ? { accuracy: hits / images } : {}) };
  }

  /** Takes in a step on a batch of so many images. */
  count({ loss, hits }: StepOutcome, images: number, milliseconds: number): void {
    const { running, clock } = this;
    this.running = {
      lossSum: running.lossSum + loss * images,
      hits: running.hits + hits,
      images: running.images + images,
    };
    this.clock = { steps: clock.steps + 1, milliseconds: clock.milliseconds + milliseconds };
  }

  /** Those of a stage's recoveries that are in no epoch's metrics yet. */
  untold(recoveries: readonly Recovery[]): Recovery[] {
    return recoveries.slice(this.done.flatMap((metrics) => orDefault(metrics.recoveries, [])).length);
  }

  /** Ends the present epoch. @returns how long its steps took */
  close(metrics: EpochMetrics): EpochTiming {
    const { stage, epoch, macs } = metrics;
    const { steps, milliseconds } = this.clock;
    this.done = [...this.done, metrics];
    this.unreported = [...this.unreported, metrics];
    this.running = NOTHING;
    this.clock = NO_TIME;
    return { stage, epoch, steps, seconds: milliseconds / 1000, macs };
  }

  /** The epochs that were in no checkpoint, once they are in one. */
  takeUnreported(): readonly EpochMetrics[] {
    const taken = this.unreported;
    this.unreported = [];
    return taken;
  }

  restore({ lossSum, hits, images, history }: EpochSums & Pick<Checkpoint, "history">): void {
    this.running = { lossSum, hits, images };
    this.clock = NO_TIME;
    this.done = history;
    this.unreported = [];
  }
}
