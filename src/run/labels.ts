import type { Dataset } from "../data/dataset.js";
import type { Graph } from "../graph/types.js";
import { describeMatched, otherNames, scoredClasses, statedNames } from "../measure/classes.js";
import type { RunConfig } from "./config.js";

/** What of a configuration says how labels are used. */
export type LabelConfig = Pick<RunConfig, "classes"> & Partial<Pick<RunConfig, "reference">>;

/** How labels are used where that is not plain. */
export function describeLabels(
  { classes, reference }: LabelConfig,
  model: Graph,
  { classNames }: Pick<Dataset, "classNames">,
): readonly string[] {
  if (classNames === undefined) return [];
  if (classes !== undefined) return [describeMatched(classes.length)];
  if (reference !== "original") return otherNames(model, classNames);
  const scored = scoredClasses(model);
  const scores = scored === undefined ? "" : `; output "${scored.output}" is [${scored.shape.join(", ")}]`;
  return [
    `the labels (${classNames.length} classes) are not used${scores}: outputs are compared with the original's`,
  ];
}

/** The names of a model's outputs: by which labels were matched, or the model's own, or else the data's. */
export function outputNames(
  { classes }: LabelConfig,
  original: Graph,
  { classNames }: Pick<Dataset, "classNames">,
): readonly string[] | undefined {
  return classNames === undefined ? undefined : (classes ?? statedNames(original) ?? classNames);
}
