import type { Interval } from "../measure/interval.js";
import type { TrainingSummary } from "../run/train_pipeline.js";

/** The outcome of a training, for people. */
export function describeTraining(
  { test, validation, validationImages, model }: TrainingSummary,
  shareInterval: (correct: number, total: number) => Interval,
): string {
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  const counted = (correct: number, total: number): string => {
    const { low, high } = shareInterval(correct, total);
    return `${correct} of ${total}; ${percent(low)} to ${percent(high)} with 95 % confidence`;
  };
  const images = validationImages;
  const of =
    validation === undefined || images === undefined
      ? ""
      : ` (${counted(Math.round(validation * images), images)})`;
  const held = validation === undefined ? "" : `\ntop-1, held out:    ${percent(validation)}${of}`;
  const tested = `${percent(test.correct / test.total)} (${counted(test.correct, test.total)})`;
  return `top-1, test split:  ${tested}${held}\n\n${model}`;
}
