import type { FileDraft } from "../files/atomic.js";
import { PenniError } from "../graph/errors.js";
import type { StoredCheckpoint } from "./checkpoint.js";
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

/** A state that is written: a file that is not in its place yet, or what is wrong with it. */
interface StateDraft {
  readonly file?: FileDraft;
  readonly problem?: string;
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
  async resume(checkpoint: StoredCheckpoint): Promise<void> {
    await this.state.goTo(checkpoint);
    this.savedAt = Date.now();
    // Whoever listened before may not have heard of the last ones.
    for (const metrics of checkpoint.history) this.hooks.epoch(metrics);
  }

  /**
   * Writes the present state, before a step that writes over it. Whether it is good is known after that step.
   * @throws PenniError "io"
   */
  async draft(): Promise<StateDraft> {
    const problem = stateProblem(await this.state.workbench.snapshot());
    if (problem !== undefined) return { problem };
    return { file: await this.store.draft(await this.state.checkpoint()) };
  }

  /**
   * Saves a state that was written, and reports the epochs that are safe now.
   * @param problem of the step that began with it
   * @returns what is wrong with it, and then it is not saved
   */
  async save({ problem: own, file }: StateDraft, problem = own): Promise<string | undefined> {
    if (problem !== undefined || file === undefined) {
      await file?.discard();
      return problem;
    }
    await file.keep();
    this.savedAt = Date.now();
    for (const metrics of this.state.books.takeUnreported()) this.hooks.epoch(metrics);
    return undefined;
  }

  /** Goes back to what was saved last, which steps have written over. @throws PenniError "internal" if nothing was */
  async takeBack(): Promise<void> {
    const checkpoint = await this.store.read();
    if (checkpoint === undefined)
      throw new PenniError("internal", "a stage that is finished has no checkpoint");
    await this.state.goTo(checkpoint);
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
