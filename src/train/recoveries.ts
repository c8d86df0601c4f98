import { PenniError } from "../graph/errors.js";
import type { Checkpoint } from "./checkpoint.js";
import { followLoss, type LossTrend, lossProblem } from "./divergence.js";
import type { Recovery } from "./plan.js";

/** A stage goes back to its checkpoint so many times, each time with half the learning rate. */
export const MOST_RECOVERIES = 3;
const RECOVERY_FACTOR = 0.5;

/** How the loss of a stage goes, and how often it went so badly that the stage had to go back. */
export class Recoveries {
  private taken: readonly Recovery[] = [];
  private losses: LossTrend | undefined;

  /** In order. */
  get list(): readonly Recovery[] {
    return this.taken;
  }

  /** Undefined before the first step. */
  get trend(): LossTrend | undefined {
    return this.losses;
  }

  /** What the schedule's learning rate is multiplied by. */
  get rateFactor(): number {
    return RECOVERY_FACTOR ** this.taken.length;
  }

  /** What is wrong with a step's loss; undefined if nothing is. @param guessing see `guessingLoss` */
  problemOf(loss: number, guessing: number): string | undefined {
    return lossProblem(loss, this.losses, guessing);
  }

  /** Takes in a loss that nothing is wrong with. */
  follow(loss: number): void {
    this.losses = followLoss(this.losses, loss);
  }

  /** A recovery at this step, with half the present learning rate. */
  next(problem: string, step: number, backTo: number): Recovery {
    return { problem, step, backTo, rateFactor: this.rateFactor * RECOVERY_FACTOR };
  }

  /** Counts a recovery besides those of the checkpoint that the stage went back to. */
  add(recovery: Recovery): void {
    this.taken = [...this.taken, recovery];
  }

  restore({ trend, recoveries }: Pick<Checkpoint, "trend" | "recoveries">): void {
    this.losses = trend;
    this.taken = recoveries;
  }
}

/** @param found the last problem @param rate learning rate that it came up with */
export function gaveUp(found: string, rate: number): PenniError {
  const shown = rate.toPrecision(2);
  return new PenniError("diverged", `training diverges, ${MOST_RECOVERIES} smaller learning rates included`, {
    found: `${found}, at learning rate ${shown}`,
    advice: `Start a new run with a learning rate (--lr, --fine-tune-lr) well below ${shown}`,
  });
}

export function badStart(found: string): PenniError {
  return new PenniError("diverged", "a training stage starts from a network with no usable loss", {
    found,
    advice:
      "Check that the network's weights are finite and that --mean and --std are those it was trained with",
  });
}
