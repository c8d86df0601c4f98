import { askedCriterion } from "../../method/goal/criterion.js";
import type { Settings } from "../config.js";
import { type StageName, stageNames } from "./names.js";

type IsLeftOut = (settings: Pick<Settings, "channels" | "prune">) => boolean;

const withoutChannels: IsLeftOut = ({ channels }) => channels === undefined;

/** When a run has no such stage. All other stages are in every run. */
export const leftOut = {
  channels: withoutChannels,
  recover: withoutChannels,
  // It would move what stands in a pattern.
  shrink: ({ prune }) => askedCriterion(prune)?.fixesPlaces === true,
} as const satisfies { readonly [Name in StageName]?: IsLeftOut };

/** The stages of a run, in order. */
export function stageNamesOf(settings: Parameters<IsLeftOut>[0]): readonly StageName[] {
  const rules: { readonly [Name in StageName]?: IsLeftOut } = leftOut;
  return stageNames.filter((name) => rules[name]?.(settings) !== true);
}
