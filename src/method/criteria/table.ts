import type { z } from "zod";
import { PenniError } from "../../graph/errors.js";
import type { AppliedCriterion } from "./criterion.js";
import { deviation } from "./deviation.js";
import { filters } from "./filters.js";
import { macs } from "./macs.js";
import { pattern } from "./pattern.js";

/** Every rule that says by itself what goes, in the order of the help text. */
export const criteria = [macs, deviation, pattern, filters] as const;

export type CriterionRule = z.infer<(typeof criteria)[number]["schema"]>;

/** All that a run asks about its rule. */
export function criterionOf(rule: CriterionRule): AppliedCriterion {
  const found = criteria.find(({ name }) => name === rule.rule);
  if (found === undefined) throw new PenniError("internal", "there is no such rule", { found: rule.rule });
  return found.of(rule);
}
