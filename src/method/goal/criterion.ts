import type { AppliedCriterion } from "../criteria/criterion.js";
import { criterionOf } from "../criteria/table.js";
import { isGoal } from "./rules.js";
import type { PruneRule } from "./schema.js";

/** The criterion that a rule is; undefined for a goal, whose fraction of multiply-accumulates is to be found. */
export function askedCriterion(rule: PruneRule): AppliedCriterion | undefined {
  return isGoal(rule) ? undefined : criterionOf(rule);
}
