import { Random } from "./random.js";

/** Indices into a split, ascending, without an index in common. */
export interface HeldOut {
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
}

/**
 * Holds a validation part out of training data, the same fraction (0 to 1) of every class, rounded, and at
 * least one image of a class that has two. The same labels, fraction and seed always give the same parts.
 */
export function holdOut(labels: Uint16Array, fraction: number, seed: number): HeldOut {
  const byClass = new Map<number, number[]>();
  labels.forEach((label, index) => {
    const members = byClass.get(label);
    if (members === undefined) byClass.set(label, [index]);
    else members.push(index);
  });
  const isHeldOut = new Uint8Array(labels.length);
  for (const [label, members] of byClass) {
    const shuffled = new Random(seed, label).shuffle(members);
    for (const index of shuffled.slice(0, heldOutCount(members.length, fraction))) isHeldOut[index] = 1;
  }
  const indices = Uint32Array.from(labels, (_, index) => index);
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
