import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { inferGraph } from "../ops/inference/infer.js";
import { guessingLoss } from "./divergence.js";
import { matchedOutputs } from "./losses.js";
import { comparedValue, scoredValue, scoreRow } from "./outputs.js";
import type { TrainingPlan } from "./plan.js";

/** What a network costs that has learned nothing, by its own outputs' numbers of classes: see `guessingLoss`. */
export function guessingCost(network: Graph, plan: TrainingPlan): number {
  const { types } = inferGraph(network);
  const size = (value: string, axis: number): number => {
    const dim = types.get(value)?.shape?.at(axis);
    if (typeof dim === "number") return dim;
    throw new PenniError("internal", `the number of classes of "${value}" is not known`);
  };
  const matched = matchedOutputs(network, plan.loss).map((loss) => {
    if (loss.measure !== "kl") return { loss, classes: 1 };
    return { loss, classes: loss.axis === "each" ? 2 : size(comparedValue(network, loss), loss.axis) };
  });
  if (plan.loss.crossEntropy === 0) return guessingLoss(plan.loss, matched, 1);
  const { value, isEach } = scoredValue(network, types);
  const row = present(scoreRow(types.get(value)?.shape), "the classes of a classifier");
  return guessingLoss(plan.loss, matched, row.classes, isEach);
}
