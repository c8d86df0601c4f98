import { present } from "../graph/at.js";
import { pushTo } from "../graph/push_to.js";
import type { Split } from "./dataset.js";
import { Random } from "./random.js";

/** Indices into a split, ascending, without an index in common. */
export interface HeldOut {
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
}

/** The class that images without labels are taken for. */
const UNLABELLED = 0;

/**
 * Holds a validation part out of training data, the same fraction (0 to 1) of every class, rounded, and at
 * least one image of a class that has two. Images without labels are taken together, as if of one class. The same
 * labels, fraction and seed always give the same parts.
 */
export function holdOut(
  { count, labels }: Pick<Split, "count" | "labels">,
  fraction: number,
  seed: number,
): HeldOut {
  const byClass = new Map<number, number[]>();
  for (let index = 0; index < count; index += 1) {
    pushTo(byClass, labels === undefined ? UNLABELLED : present(labels[index], "a label"), index);
  }
  const isHeldOut = new Uint8Array(count);
  for (const [label, members] of byClass) {
    const shuffled = new Random(seed, label).shuffle(members);
    for (const index of shuffled.slice(0, heldOutCount(members.length, fraction))) isHeldOut[index] = 1;
  }
  const indices = Uint32Array.from(isHeldOut, (_, index) => index);
  return {
    train: indices.filter((index) => isHeldOut[index] === 0),
    validation: indices.filter((index) => isHeldOut[index] === 1),
  };
}

function heldOutCount(members: number, fraction: number): number {
  if (fraction <= 0 || members < 2) return 0;
  return Math.min(members, Math.max(1, Math.round(members * fraction)));
}

/** What separates the random numbers of samples from those of held-out parts. */
const SAMPLE_STREAM = 3;

/**
 * `count` of the given indices (or all), drawn at random for a seed, ascending: datasets are often sorted by
 * class, so their first images are no sample.
 */
export function sampleIndices(indices: Uint32Array, count: number, seed: number): Uint32Array {
  if (count >= indices.length) return indices;
  return new Random(SAMPLE_STREAM, seed).shuffle(indices.slice()).slice(0, count).sort();
}
