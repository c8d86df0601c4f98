import { fractionsLeft } from "../method/defaults.js";
import type { SearchEffort } from "../method/goal/describe.js";
import type { GoalName } from "../method/goal/names.js";
import type { Goal } from "../method/goal/rules.js";
import type { SearchRules } from "../method/goal/search.js";
import { hasTraining, type Settings } from "./config.js";

type Effort = Pick<Settings, "retrain" | "fineTune">;

const loss = { wanted: "smallest", close: 1, aim: 1, curve: "exponential" } as const;

/** Tries of a search that takes a calibration for each, or a training. */
const rules: { readonly [Name in GoalName]: (settings: Effort) => SearchRules } = {
  size: () => ({
    wanted: "largest",
    most: 6,
    resolution: 0.004,
    close: 0.98,
    aim: 0.992,
    curve: "line",
    margin: 0.05,
  }),
  latency: () => ({
    wanted: "largest",
    most: 6,
    resolution: 0.01,
    close: 0.94,
    aim: 0.97,
    curve: "line",
    margin: 0.05,
  }),
  loss: (settings) =>
    hasTraining(settings)
      ? { ...loss, most: 4, resolution: 0.05, margin: 0.25 }
      : { ...loss, most: 8, resolution: 0.02, margin: 0.2 },
};

/** How the fraction for a goal is searched where each try is a calibration or a training. */
export function searchRules(goal: Goal, settings: Effort): SearchRules {
  return rules[goal.rule](settings);
}

/** What is tried first for a loss: what the presets ask for, with training and without. */
export function firstFraction(settings: Effort): number {
  return hasTraining(settings) ? fractionsLeft.trained : fractionsLeft.untrained;
}

/** How much work the search for a goal is. */
export function searchEffort(goal: Goal, settings: Effort & Pick<Settings, "start">): SearchEffort {
  const { retrain, fineTune, start } = settings;
  const { most } = searchRules(goal, settings);
  if (goal.rule === "loss" && hasTraining(settings))
    return { most, of: "trainings", epochs: fineTune.epochs + (start === "calibrate" ? retrain.epochs : 0) };
  return { most, of: start === "calibrate" ? "calibrations" : "prunings", epochs: 0 };
}
