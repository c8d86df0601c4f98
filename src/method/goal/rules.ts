import type { GoalName } from "./names.js";
import type { PruneRule } from "./schema.js";

/** A rule that says what is wanted of the result. */
export type Goal = Extract<PruneRule, { readonly rule: GoalName }>;

export function goalOf(rule: PruneRule): Goal | undefined {
  return rule.rule === "deviation" || rule.rule === "macs" ? undefined : rule;
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
