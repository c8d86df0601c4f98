import { PenniError } from "../graph/errors.js";
import { wasmBytes } from "../method/goal/cost.js";
import type { GoalValue } from "../method/goal/describe.js";
import type { WrittenNetwork } from "../method/goal/pruned_search.js";
import { type Goal, goalOf, limitOf, wanted } from "../method/goal/rules.js";
import type { Try } from "../method/goal/schema.js";
import { bestTry } from "../method/goal/search.js";
import type { RunDirectory } from "./directory.js";
import { readGoalRecord } from "./goal_record.js";
import type { Figures, GoalOutcome } from "./summary.js";

/** Undefined for a run without a goal. @param written the result, with all of its files' bytes */
export async function goalOutcome(
  run: RunDirectory,
  { graph, bytes }: WrittenNetwork,
  compressed: Figures,
): Promise<GoalOutcome | undefined> {
  const goal = goalOf(run.config.settings.prune);
  if (goal === undefined) return undefined;
  const { tries = [] } = (await readGoalRecord(run)) ?? {};
  const best = bestTry(tries, wanted[goal.rule]);
  if (best === undefined) {
    throw new PenniError("bad-file", "what was tried for the goal is gone", {
      file: run.path("search.json"),
      advice: "Start a new run",
    });
  }
  const reached = reachedBy(goal, { graph, bytes }, compressed, best);
  const isMet = (reached.high ?? reached.value) <= limitOf(goal);
  return {
    asked: goal,
    fraction: best.fraction,
    reached,
    isMet: goal.rule === "loss" ? best.holds : isMet,
    tries,
  };
}

function reachedBy(
  goal: Goal,
  written: WrittenNetwork,
  { compiledMs, compiledSpread }: Figures,
  best: Try,
): GoalValue {
  switch (goal.rule) {
    case "size":
      return { value: goal.file === "onnx" ? written.bytes : wasmBytes(written.graph) };
    case "latency":
      if (compiledMs === undefined || compiledSpread === undefined)
        throw new PenniError("internal", "the result cannot be compiled any more");
      return { value: compiledMs, low: compiledSpread.lowMs, high: compiledSpread.highMs };
    case "loss":
      return lossOf(best);
  }
}

function lossOf({ value, low, high }: Try): GoalValue {
  return low === undefined || high === undefined ? { value } : { value, low, high };
}
