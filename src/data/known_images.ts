import { createHash } from "node:crypto";
import { PenniError } from "../graph/errors.js";
import type { Dataset, Split } from "./dataset.js";

/** By what training images are known again when a run is gone on with. */
export interface KnownImages {
  readonly count: number;
  /** SHA-256, in hexadecimal, of the names of the classes and the class of each image. */
  readonly classes: string;
}

/** Of the training images of a dataset. What is in the pictures is not looked at. */
export function knownImages(
  { classNames }: Pick<Dataset, "classNames">,
  { count, labels }: Pick<Split, "count" | "labels">,
): KnownImages {
  const hash = createHash("sha256").update(JSON.stringify(classNames ?? null));
  if (labels !== undefined) hash.update(labels);
  return { count, classes: hash.digest("hex") };
}

/**
 * Which images are held out, and which class a score is of, follow from the images that a run began with.
 * @param expected absent in runs from before it was written
 * @throws PenniError "bad-data" with both numbers if there are others now
 */
export function checkKnownImages(spec: string, expected: KnownImages | undefined, found: KnownImages): void {
  if (expected === undefined) return;
  if (expected.count === found.count && expected.classes === found.classes) return;
  const isAsMany = expected.count === found.count;
  throw new PenniError("bad-data", "the training images are not those that the run was started with", {
    file: spec,
    expected: `${expected.count} images`,
    found: isAsMany ? "as many, but of other classes" : `${found.count}`,
    advice: "Put them back as they were, or start a new run directory",
  });
}
