import type { Dataset } from "../data/dataset.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { isSynthetic } from "../data/spec.js";
import type { Graph } from "../graph/types.js";
import { fitClasses, matchedNames, scoredClasses } from "../measure/classes.js";
import type { CompressRequest } from "./compress_request.js";
import type { RunConfig } from "./config.js";
import { openFittingDataset } from "./pipeline.js";
import { usesLabels } from "./settings_checks.js";

/** The images of a run, and how their labels meet the model's outputs. */
interface LabelledDataset {
  readonly dataset: Dataset;
  readonly classes: Pick<RunConfig, "classes">;
  /** Whether the labels are of the classes that the model scores. */
  readonly isFitting: boolean;
}

/**
 * Labels that are learned from, or that a possible classifier is judged by, must be of the classes it scores. Those of
 * made-up images are not needed where outputs are matched to the original's.
 * @throws PenniError as `fitClasses`
 */
export async function labelledDataset(
  model: Graph,
  request: CompressRequest,
  preprocessing: Preprocessing,
): Promise<LabelledDataset> {
  const given = request.classes;
  const opened = await openFittingDataset(model, request.data, preprocessing);
  const isFitting =
    given !== undefined || usesLabels(request.settings) || isJudgedByLabels(model, opened, request);
  if (!isFitting) return { dataset: opened, classes: {}, isFitting };
  const dataset = fitClasses(model, opened, given);
  const names = matchedNames(opened, dataset);
  return { dataset, classes: names === undefined ? {} : { classes: [...names] }, isFitting };
}

/** Whether labels judge a result that was not trained on them: that of what may be a classifier. */
function isJudgedByLabels(
  model: Graph,
  { classNames }: Dataset,
  { data, outputs }: CompressRequest,
): boolean {
  if (classNames === undefined) return false;
  const scored = scoredClasses(model);
  if (scored === undefined) return true;
  const measure = outputs?.get(scored.output)?.measure ?? "kl";
  if (scored.shape.length !== 2 || measure !== "kl") return false;
  return !isSynthetic(data) || scored.classes === classNames.length;
}
