import type { Checkpoint, StoredCheckpoint } from "./checkpoint.js";
import { EpochBooks } from "./epoch_books.js";
import type { TrainingPlan } from "./plan.js";
import { Recoveries } from "./recoveries.js";
import { RunningAverage } from "./running_average.js";
import type { Timetable } from "./timetable.js";
import type { TrainedNetwork } from "./trained_network.js";
import type { Workbench } from "./workbench.js";

/** All that changes while a stage is trained, and so all that its checkpoints hold. */
export class StageState {
  /** Steps done. */
  step = 0;
  /** The step at whose beginning it was last seen whether the network can shrink; in a checkpoint that is its own. */
  shrunkAt = -1;
  readonly books: EpochBooks;
  readonly recoveries = new Recoveries();
  readonly average: RunningAverage | undefined;

  constructor(
    plan: TrainingPlan,
    readonly timetable: Timetable,
    readonly network: TrainedNetwork,
  ) {
    this.books = new EpochBooks(plan.reference !== "original");
    this.average = plan.averaging === undefined ? undefined : new RunningAverage(plan.averaging);
  }

  get workbench(): Workbench {
    return this.network.workbench;
  }

  /** Learning rate of the step after so many, as recoveries leave it. */
  rateAfter(steps: number): number {
    return this.recoveries.rateFactor * this.timetable.rateAfter(steps);
  }

  async checkpoint(): Promise<Omit<Checkpoint, "identity">> {
    const { step, books, average } = this;
    const { trend, list } = this.recoveries;
    const { shrunk } = this.network;
    return {
      step,
      ...books.sums,
      ...(trend === undefined ? {} : { trend }),
      recoveries: list,
      history: books.history,
      tensors: new Map([
        ...(await this.workbench.snapshot()),
        ...(average === undefined ? [] : average.saved()),
      ]),
      ...(shrunk === undefined ? {} : { network: shrunk }),
    };
  }

  /** Takes over a checkpoint, tensor by tensor. */
  async goTo(checkpoint: StoredCheckpoint): Promise<void> {
    const { step, network } = checkpoint;
    this.step = step;
    this.shrunkAt = step;
    this.books.restore(checkpoint);
    this.recoveries.restore(checkpoint);
    await this.network.goTo(network);
    this.average?.forget();
    for await (const [name, tensor] of checkpoint.tensors())
      if (this.average?.takeBack(name, tensor) !== true) this.workbench.restore(new Map([[name, tensor]]));
  }

  /** Does work with the averaged weights where they are averaged, else with the present ones. */
  averaged<Result>(work: () => Promise<Result>): Promise<Result> {
    const { average } = this;
    return average === undefined ? work() : this.workbench.withValues(average.tensors, work);
  }

  async followAverage(): Promise<void> {
    if (this.average?.isDue(this.step) === true)
      this.average.follow(this.step, await this.workbench.values());
  }
}
