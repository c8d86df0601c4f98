import { z } from "zod";
import type { CheckpointTensor } from "./checkpoint_tensor.js";
import type { LossOptions } from "./losses.js";
import type { OutputLoss, OutputMeasure } from "./outputs.js";

/** The loss has exploded when it is more than so many times what can be expected. */
const EXPLOSION = 10;
/** Share of the present loss in the running mean: a mean over some 50 steps. */
const MEAN_SHARE = 0.02;

export const lossTrendSchema = z
  .object({
    /** Running mean of the loss. */
    mean: z.number(),
    /** The lowest that the running mean has been in this stage. */
    lowest: z.number(),
  })
  .readonly();

/** How the loss has gone so far. */
export type LossTrend = z.infer<typeof lossTrendSchema>;

/** An output that is matched, and how many classes its scores tell apart (1 where they are no scores). */
export interface MatchedClasses {
  readonly loss: OutputLoss;
  readonly classes: number;
}

/**
 * The loss of a network that gives every class the same score and everything else as its mean, at most: ln K for the
 * cross-entropy, for a divergence T² times that of a teacher that is sure of one class (ln K too), for squared errors
 * in units of the deviation 1, for smooth L1 half of that; for maps of attention that have nothing in common 2.
 * @param classes K of the labels, from 1
 * @param isEach whether each class has a probability of its own: a half then
 */
export function guessingLoss(
  { crossEntropy, distillation, temperature, features = 0 }: LossOptions,
  matched: readonly MatchedClasses[],
  classes: number,
  isEach = false,
): number {
  const costs: Readonly<Record<OutputMeasure, (classes: number) => number>> = {
    kl: (count) => temperature ** 2 * Math.log(count),
    mse: () => 1,
    "smooth-l1": () => 0.5,
  };
  const distance = matched.reduce(
    (sum, each) => sum + each.loss.weight * costs[each.loss.measure](each.classes),
    0,
  );
  const labels = isEach ? classes * Math.LN2 : Math.log(classes);
  return crossEntropy * labels + distillation * distance + 2 * features;
}

/** The trend with one more loss; without a trend, the first loss starts it. */
export function followLoss(trend: LossTrend | undefined, loss: number): LossTrend {
  const mean = trend === undefined ? loss : (1 - MEAN_SHARE) * trend.mean + MEAN_SHARE * loss;
  return { mean, lowest: Math.min(mean, trend?.lowest ?? mean) };
}

/**
 * What is wrong with a step's loss; undefined if nothing is. A loss explodes when it is over ten times both
 * what guessing costs and the best that the stage has seen: a network that learns too fast at first, or starts
 * damaged by decomposition, stays far below, and one that diverges passes through it within a few steps. The
 * best, not the latest mean: that one would rise with a loss that grows slowly.
 */
export function lossProblem(
  loss: number,
  trend: LossTrend | undefined,
  guessing: number,
): string | undefined {
  if (!Number.isFinite(loss)) return `the loss is ${loss}`;
  if (trend === undefined) return undefined;
  const expected = Math.max(guessing, trend.lowest);
  if (loss <= EXPLOSION * expected) return undefined;
  return `the loss is ${loss.toPrecision(3)}, more than ${EXPLOSION} times ${expected.toPrecision(3)}`;
}

/** The first tensor that holds a value which is not finite, as a problem; undefined if there is none. */
export function stateProblem(tensors: ReadonlyMap<string, CheckpointTensor>): string | undefined {
  for (const [name, { data }] of tensors)
    if (!isAllFinite(data)) return `"${name}" has values that are not finite`;
  return undefined;
}

function isAllFinite(data: Float32Array): boolean {
  for (const value of data) if (!Number.isFinite(value)) return false;
  return true;
}
