import type { TrainingPlan } from "./plan.js";
import { learningRate } from "./schedule.js";

/** How many steps a training on so many images has. */
export function trainingSteps(
  images: number,
  { batch, epochs }: Pick<TrainingPlan, "batch" | "epochs">,
): number {
  return Math.round(epochs * Math.floor(images / batch));
}

/** Which epoch, phase and learning rate a step has: all of it follows from its number alone. */
export class Timetable {
  readonly stepsPerEpoch: number;
  /** Of the whole stage. */
  readonly steps: number;

  /** @param images that are trained on */
  constructor(
    private readonly plan: Pick<
      TrainingPlan,
      "batch" | "epochs" | "part" | "phaseEpochs" | "phases" | "schedule"
    >,
    images: number,
  ) {
    this.stepsPerEpoch = Math.floor(images / plan.batch);
    this.steps = trainingSteps(images, plan);
  }

  /** Number of the epoch that the step after so many belongs to, from 0, those of parts before included. */
  epochAfter(steps: number): number {
    const before = this.plan.part === undefined ? 0 : this.plan.part.epochsBefore;
    return before + Math.floor(steps / this.stepsPerEpoch);
  }

  /** Number of the epoch that step number `step` belongs to, both from 1. */
  epochOf(step: number): number {
    return this.epochAfter(step - 1) + 1;
  }

  /** Whether an epoch begins, or ends, after so many steps. */
  isEpochBorder(steps: number): boolean {
    return steps % this.stepsPerEpoch === 0;
  }

  /** Whether an epoch, the last one perhaps incomplete, ends after so many steps. */
  isEpochEnd(steps: number): boolean {
    return this.isEpochBorder(steps) || steps === this.steps;
  }

  /** The phase of the step after so many. */
  phaseAfter(steps: number): number {
    const phaseSteps = Math.max(1, Math.round(this.plan.phaseEpochs * this.stepsPerEpoch));
    return Math.floor(steps / phaseSteps) % this.plan.phases.length;
  }

  /** The schedule's learning rate for the step after so many. */
  rateAfter(steps: number): number {
    const { part, schedule } = this.plan;
    const progress =
      part === undefined
        ? steps / this.steps
        : (part.epochsBefore * this.stepsPerEpoch + steps) / (part.epochsInAll * this.stepsPerEpoch);
    return learningRate(schedule, progress);
  }
}
