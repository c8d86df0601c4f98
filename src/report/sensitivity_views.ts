import { at } from "../graph/at.js";
import { shareInterval } from "../measure/interval.js";
import type { Effect, Sensitivity } from "../method/sensitivity.js";

/** One way to look at the effects of changes: a number for each. */
export interface EffectView {
  /** What the number is. */
  readonly title: string;
  /** In a word or two, for an axis. */
  readonly unit: string;
  /** The number as text says it, in the view's unit. */
  readonly value: (effect: Effect) => number;
  readonly format: (value: number) => string;
  /** How bad a value is, from 0 to 1. */
  readonly loss: (value: number) => number;
}

/** More outputs than this are not shown one by one. */
const OUTPUTS_SHOWN = 3;

const toUnitInterval = (value: number): number => Math.min(1, Math.max(0, value));

/** Not a number: a value was not finite, or the output changed its size. */
const orUnknown =
  (format: (value: number) => string): EffectView["format"] =>
  (value) =>
    Number.isNaN(value) ? "?" : format(value);

/** +0.4, 0.0, -12.3; zero has no sign. */
function signed(value: number): string {
  const text = value.toFixed(1);
  if (Number(text) === 0) return "0.0";
  return value > 0 ? `+${text}` : text;
}

const accuracyView: EffectView = {
  title: "change of top-1, in points",
  unit: "points",
  value: ({ difference = NaN }) => 100 * difference,
  format: orUnknown(signed),
  loss: (points) => toUnitInterval(-points / 100),
};

const agreementView: EffectView = {
  title: "predictions that change, in %",
  unit: "% of the predictions",
  value: ({ agreement = NaN }) => 100 * (1 - agreement),
  format: orUnknown((value) => value.toFixed(1)),
  loss: (percent) => toUnitInterval(percent / 100),
};

/** What errors are shown in everywhere: see `OutputAgreement`. */
const ERROR_UNIT = "in % of its deviation from image to image";

function percentText(percent: number): string {
  if (percent < 99.95) return percent.toFixed(1);
  return percent < 99_999.5 ? percent.toFixed(0) : percent.toPrecision(3);
}

function errorView(title: string, value: EffectView["value"]): EffectView {
  return {
    title: `${title}, ${ERROR_UNIT}`,
    unit: "error, %",
    value: (effect) => 100 * value(effect),
    format: orUnknown(percentText),
    loss: (percent) => toUnitInterval(percent / 100),
  };
}

function errorViews(outputs: readonly string[]): readonly EffectView[] {
  if (outputs.length === 1) return [errorView("error of the output", ({ errors }) => at(errors, 0))];
  if (outputs.length > OUTPUTS_SHOWN) {
    return [errorView(`largest error of ${outputs.length} outputs`, ({ errors }) => Math.max(...errors))];
  }
  return outputs.map((output, index) =>
    errorView(`error of output "${output}"`, ({ errors }) => at(errors, index)),
  );
}

/** What to show of a sensitivity: accuracy where it was measured, else errors, and of classifiers the predictions. */
export function effectViews({ measure, outputs, original, layers }: Sensitivity): readonly EffectView[] {
  if (measure === "accuracy" && original.top1 !== undefined) return [accuracyView];
  const [effect] = layers.slice(0, 1).flatMap(({ ranks, sparsities }) => [...ranks, ...sparsities]);
  const isClassifier = effect?.agreement !== undefined;
  return [...errorViews(outputs), ...(isClassifier ? [agreementView] : [])];
}

/** All ranks that some layer was given, but for those that reproduce every layer; ascending. */
export function ranksShown({ layers }: Sensitivity): readonly number[] {
  const tried = layers.flatMap(({ ranks }) => ranks.slice(0, -1).map(({ d }) => d));
  return [...new Set(tried)].sort((a, b) => a - b);
}

/** All shares that were removed from some layer, ascending. */
export function sparsitiesShown({ layers }: Sensitivity): readonly number[] {
  const tried = layers.flatMap(({ sparsities }) => sparsities.map(({ sparsity }) => sparsity));
  return [...new Set(tried)].sort((a, b) => a - b);
}

/** 0.75 as "75 %". */
export function sharePercent(share: number): string {
  return `${Number((100 * share).toFixed(2))} %`;
}

/** What the numbers were measured on. */
export function measuredOn({ images, measure, original }: Sensitivity): string {
  const { top1 } = original;
  const on = `${images} ${images === 1 ? "image" : "images"}`;
  if (measure === "error" || top1 === undefined) {
    return `Measured on ${on}, without labels: what comes out, compared with what comes out of the original.`;
  }
  const points = (100 / images).toPrecision(2);
  const { low, high } = shareInterval(Math.round(top1 * images), images);
  const range = `${(100 * low).toFixed(2)} and ${(100 * high).toFixed(2)} %`;
  return `Top-1 of the original on ${on}: ${(100 * top1).toFixed(2)} %; one image is ${points} points.\nBetween ${range} with 95 % confidence.`;
}
