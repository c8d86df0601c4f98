import type { TrainingPlan, TrainingProgress } from "./plan.js";
import type { StageState } from "./stage_state.js";

const PROGRESS_INTERVAL_MS = 200;

/** Tells how far a stage is and how fast it goes, a few times a second. */
export class ProgressMeter {
  /** Images a second, smoothed; 0 before the first step. */
  private speed = 0;
  private lastProgress = 0;

  constructor(
    private readonly plan: TrainingPlan,
    private readonly state: StageState,
    private readonly tell: (progress: TrainingProgress) => void,
  ) {}

  /** A step of this phase is done, which took so long. */
  stepDone(phase: number, milliseconds: number): void {
    const { plan, state } = this;
    const { step, timetable } = state;
    const { steps } = timetable;
    const imagesPerSecond = (1000 * plan.batch) / milliseconds;
    this.speed = this.speed === 0 ? imagesPerSecond : 0.9 * this.speed + 0.1 * imagesPerSecond;
    const now = Date.now();
    if (now - this.lastProgress < PROGRESS_INTERVAL_MS && step < steps) return;
    this.lastProgress = now;
    this.tell({
      stage: plan.stage,
      phase: state.workbench.phaseName(phase),
      step,
      steps,
      epoch: timetable.epochOf(step),
      epochs: Math.ceil(plan.part?.epochsInAll ?? plan.epochs),
      ...state.books.means,
      sparsity: state.network.lastSparsity(),
      imagesPerSecond: this.speed,
      secondsLeft: ((steps - step) * plan.batch) / this.speed,
    });
  }
}
