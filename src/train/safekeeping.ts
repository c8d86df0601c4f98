import type { Checkpoint } from "./checkpoint.js";
import type { CheckpointStore } from "./checkpoint_store.js";
import { stateProblem } from "./divergence.js";
import type { EpochMetrics, TrainingPlan } from "./plan.js";
import { badStart, gaveUp, MOST_RECOVERIES } from "./recoveries.js";
import type { StageState } from "./stage_state.js";

/** What is told of saving and going back. */
export interface SafekeepingHooks {
  /** An epoch, once it is in a checkpoint; after resuming, those before come again. */
  epoch(metrics: EpochMetrics): void;
  /** Something the user should know, in one line. */
  notice(text: string): void;
}

/** Saves the state of a stage while it is good, and goes back to what was saved when it is not. */
export class Safekeeping {
  /** Long ago: the state a stage starts from is saved as soon as its loss is known to be good. */
  private savedAt = 0;

  constructor(
    private readonly plan: Pick<TrainingPlan, "stage" | "checkpointSeconds">,
    private readonly state: StageState,
    private readonly store: CheckpointStore,
    private readonly hooks: SafekeepingHooks,
  ) {}

  get isDue(): boolean {
    const { books } = this.state;
    return books.hasUnreported || Date.now() - this.savedAt > this.plan.checkpointSeconds * 1000;
  }

  /** Goes on from where a process before stopped. */
  async resume(checkpoint: Checkpoint): Promise<void> {
    await this.state.goTo(checkpoint);
    this.savedAt = Date.now();
    // Whoever listened before may not have heard of the last ones.
    for (const metrics of checkpoint.history) this.hooks.epoch(metrics);
  }

  /** Saves the present state and reports the epochs that are safe now; what is wrong with it if it is not good. */
  async save(): Promise<string | undefined> {
    const problem = stateProblem(await this.state.workbench.snapshot());
    if (problem !== undefined) return problem;
    await this.write();
    for (const metrics of this.state.books.takeUnreported()) this.hooks.epoch(metrics);
    return undefined;
  }

  /**
   * Goes back to the last checkpoint, with half the learning rate and no momentum: what is in the velocities
   * led to the trouble.
   * @throws PenniError "diverged" after three times, or if there is nothing to go back to
   */
  async goBack(problem: string): Promise<void> {
    const { state } = this;
    const { step, recoveries } = state;
    const found = `${problem} at step ${step + 1} of stage "${this.plan.stage}"`;
    const checkpoint = await this.store.read();
    if (checkpoint === undefined) throw badStart(found);
    if (checkpoint.recoveries.length >= MOST_RECOVERIES) throw gaveUp(found, state.rateAfter(step));
    const recovery = recoveries.next(problem, step, checkpoint.step);
    await state.goTo(checkpoint);
    state.workbench.setVelocities(new Map());
    recoveries.add(recovery);
    await this.write();
    const attempt = `attempt ${recoveries.list.length} of ${MOST_RECOVERIES}`;
    this.hooks.notice(
      `${found}: back to step ${checkpoint.step} with ${recovery.rateFactor} times the learning rate (${attempt})`,
    );
  }

  private async write(): Promise<void> {
    await this.store.write(await this.state.checkpoint());
    this.savedAt = Date.now();
  }
}
