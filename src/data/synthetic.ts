import { allocateSplit, type Dataset, type ImageSize, imagePixels, once, type Split } from "./dataset.js";
import { Random } from "./random.js";
import { drawPattern, patternNames } from "./synthetic_patterns.js";

/** Training images where the user names no number; a quarter as many test images come on top. */
export const SYNTHETIC_COUNT = 4000;
const TEST_FRACTION = 1 / 4;
const DEFAULT_SIZE: ImageSize = { width: 32, height: 32 };

/** What the parts of the set add to their seeds, so that no image is in both. */
const streams = { train: 1, test: 2 } as const;

/** What a synthetic set is made from. The same options give the same images. */
export interface SyntheticOptions {
  readonly name: string;
  /** Training images, at least 1. */
  readonly count: number;
  readonly size?: ImageSize;
  readonly seed: number;
}

/**
 * Ten classes of procedurally generated RGB images: stripes, textures and shapes with random colours,
 * contrast, phase, position, size, orientation (within the class) and noise. No pixel says anything about
 * the class on its own, so a linear classifier fails, but a small convolutional network learns it.
 */
export function syntheticDataset({ name, count, size = DEFAULT_SIZE, seed }: SyntheticOptions): Dataset {
  const { width, height } = size;
  const testCount = Math.ceil(count * TEST_FRACTION);
  return {
    name,
    classNames: patternNames,
    channels: 3,
    height,
    width,
    train: once(async () => drawSplit(count, size, seed, streams.train)),
    test: once(async () => drawSplit(testCount, size, seed, streams.test)),
  };
}

function drawSplit(count: number, { width, height }: ImageSize, seed: number, stream: number): Split {
  const split = allocateSplit({ count, channels: 3, height, width });
  for (let index = 0; index < count; index += 1) {
    const label = index % patternNames.length;
    split.labels[index] = label;
    const random = new Random(seed, stream, index);
    drawPattern(label, { width, height }, random, imagePixels(split, index));
  }
  return split;
}
