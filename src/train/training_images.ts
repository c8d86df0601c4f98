import { planEvaluation } from "../data/batches.js";
import { labelsOf, type Split } from "../data/dataset.js";
import { holdOut, sampleIndices } from "../data/hold_out.js";
import { checkKnownImages, knownImages } from "../data/known_images.js";
import { openDataset } from "../data/open.js";
import { prefetch } from "../data/prefetch.js";
import { resizeSplit } from "../data/resize_split.js";
import { PenniError } from "../graph/errors.js";
import { imageAxes } from "../graph/image_input.js";
import type { Graph } from "../graph/types.js";
import { checkClassCount } from "../measure/classes.js";
import { imageInput } from "./forward.js";
import type { EpochMetrics, TrainingPlan } from "./plan.js";
import type { Workbench } from "./workbench.js";

/** The images of a stage: those that it is trained on, and those that are held out. */
export interface TrainingImages {
  readonly split: Split;
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
}

/** Loads the images of a stage, in the size that its network takes. @throws PenniError "bad-data" if they do not fit */
export async function openTrainingImages(plan: TrainingPlan, network: Graph): Promise<TrainingImages> {
  const { spec, classes, preprocessing } = plan.data;
  const { height, width } = imageAxes(imageInput(network).type.shape, preprocessing.layout) ?? {};
  const size = typeof height === "number" && typeof width === "number" ? { height, width } : undefined;
  const { readAt = size } = plan.data;
  const dataset = await openDataset(spec, {
    preprocessing,
    ...(readAt === undefined ? {} : { imageSize: readAt }),
    ...(classes === undefined ? {} : { classes }),
  });
  if (plan.reference !== "original") checkClassCount(network, dataset.classNames?.length);
  const whole = await dataset.train();
  checkKnownImages(spec, plan.data.images, knownImages(dataset, whole));
  const split = resizeSplit(whole, size);
  if (plan.reference !== "original") labelsOf(split);
  const { train, validation } = holdOut(split, plan.data.validation, plan.seed);
  return {
    split,
    train: sampleIndices(train, plan.data.trainLimit ?? train.length, plan.seed),
    validation,
  };
}

/** @throws PenniError "bad-data" if the images do not fill one batch */
export function checkEnough({ train }: TrainingImages, { batch }: TrainingPlan): void {
  if (train.length >= batch) return;
  throw new PenniError("bad-data", "there are fewer training images than one batch", {
    expected: `at least ${batch}`,
    found: `${train.length}`,
    advice: "Give more images or a smaller --batch",
  });
}

/** What the present parameters make of the validation images, where there are any. */
export async function validate(
  workbench: Workbench,
  { split, validation }: TrainingImages,
  { batch, data, reference }: TrainingPlan,
): Promise<Pick<EpochMetrics, "validation" | "validationImages" | "outputs">> {
  const { length } = validation;
  if (length === 0) return {};
  const plan = planEvaluation(split, validation, { batch, preprocessing: data.preprocessing });
  if (reference === "original") return { outputs: [...(await workbench.compareOutputs(prefetch(plan)))] };
  return { validation: (await workbench.countHits(prefetch(plan))) / length, validationImages: length };
}
