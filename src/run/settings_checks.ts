import type { Split } from "../data/dataset.js";
import { holdOut } from "../data/hold_out.js";
import { PenniError } from "../graph/errors.js";
import { askedCriterion } from "../method/goal/criterion.js";
import { trainingSteps } from "../train/timetable.js";
import { hasTraining, type Settings, settingsSchema } from "./config.js";

export function checkSettings(settings: Settings): void {
  const { error } = settingsSchema.safeParse(settings);
  if (error === undefined) {
    checkAutomaticBasis(settings);
    return;
  }
  throw new PenniError("bad-option", "a setting is impossible", {
    found: error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "),
    advice: "See penni compress --help",
  });
}

/** Bases are chosen for each layer by what they save and lose: for a calibrated start with a target. */
function checkAutomaticBasis({ basis, start, prune }: Settings): void {
  const criterion = askedCriterion(prune);
  const isTarget = criterion === undefined || criterion.fraction !== undefined;
  if (basis !== "auto" || (start === "calibrate" && isTarget)) return;
  throw new PenniError(
    "bad-option",
    "--basis auto chooses a basis for each layer by what it saves and loses",
    {
      expected: "--start calibrate and a target, such as --target-macs",
      found: start === "calibrate" && criterion !== undefined ? criterion.option : `--start ${start}`,
      advice: "Give a number of basis kernels, such as --basis 5",
    },
  );
}

/** Whether the loss compares anything with the labels; without, every network can be trained. */
export function usesLabels({ loss }: Settings): boolean {
  return loss.crossEntropy > 0 || loss.distillation === 0;
}

/**
 * @param epochs of each training; 0 for one that is left out
 * @throws PenniError "bad-data" if what is left of the images for training is less than one batch; "bad-option" if a
 *   training would end before its first step, and so change nothing
 */
export function checkEnoughImages(
  split: Split,
  { validation, trainLimit, batch }: Pick<Settings, "validation" | "trainLimit" | "batch">,
  seed: number,
  epochs: readonly number[],
): void {
  const { train } = holdOut(split, validation, seed);
  const count = Math.min(train.length, trainLimit ?? train.length);
  if (count >= batch) {
    checkSteps(count, batch, epochs);
    return;
  }
  throw new PenniError("bad-data", "there are fewer training images than one batch", {
    expected: `at least ${batch}`,
    found: `${count}`,
    advice: "Give more images or a smaller --batch",
  });
}

function checkSteps(images: number, batch: number, epochs: readonly number[]): void {
  const short = epochs.find((count) => count > 0 && trainingSteps(images, { batch, epochs: count }) === 0);
  if (short === undefined) return;
  throw new PenniError("bad-option", "so short a training has not one step", {
    expected: `more epochs: one of ${images} images in batches of ${batch} has ${Math.floor(images / batch)}`,
    found: `${short}`,
    advice: "Give more --epochs (or --fine-tune-epochs), more images or a smaller --batch",
  });
}

/** Whether training takes several images at once; calibration takes as many as the network can. */
export function needsBatches(settings: Settings): boolean {
  return hasTraining(settings) && settings.batch > 1;
}

/**
 * Refuses to train a network on batches that it cannot take.
 * @throws PenniError "bad-option" naming the node that stands against it, if one is known
 */
export function checkBatch(problem: PenniError | undefined, settings: Settings): void {
  if (problem === undefined || !needsBatches(settings)) return;
  const { node, op } = problem.details;
  throw new PenniError("bad-option", "the network can take one image at a time only", {
    ...(node === undefined ? {} : { node }),
    ...(op === undefined ? {} : { op }),
    expected: `--batch 1, not ${settings.batch}`,
    found: problem.problem,
    advice: "Give --batch 1, or export the model with a dynamic batch",
  });
}
