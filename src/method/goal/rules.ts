import { type GoalName, goalNames } from "./names.js";
import type { PruneRule } from "./schema.js";

/** A rule that says what is wanted of the result. */
export type Goal = Extract<PruneRule, { readonly rule: GoalName }>;

/** Goals for what a network costs, whatever it computes. */
export type CostGoal = Extract<Goal, { readonly rule: "size" | "latency" }>;

export type LossGoal = Extract<Goal, { readonly rule: "loss" }>;

/** Which of the fractions that reach a goal is wanted: costs fall with the fraction, losses rise. */
export const wanted: { readonly [Name in GoalName]: "largest" | "smallest" } = {
  size: "largest",
  latency: "largest",
  loss: "smallest",
};

export function goalOf(rule: PruneRule): Goal | undefined {
  return isGoal(rule) ? rule : undefined;
}

export function isGoal(rule: PruneRule): rule is Goal {
  return goalNames.some((name) => name === rule.rule);
}

/** The most that a goal allows, in its own unit: bytes, milliseconds, points or a share. */
export function limitOf(goal: Goal): number {
  switch (goal.rule) {
    case "size":
      return goal.bytes;
    case "latency":
      return goal.milliseconds;
    case "loss":
      return goal.most;
  }
}
