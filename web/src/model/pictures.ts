import { allIndices, batches, planEvaluation } from "../../../src/data/batches.js";
import { imagePixels, type Split } from "../../../src/data/dataset.js";
import { Random } from "../../../src/data/random.js";
import { drawPattern, patternNames } from "../../../src/data/synthetic_patterns.js";
import { present } from "../../../src/graph/at.js";
import { type ImageLike, imageLevels } from "../../../src/runtime/index.js";
import { type PictureInput, pictureDims } from "./network.js";

/** What separates the pictures of the page from those that networks are trained on. */
const STREAM = 18;

/** Room for pictures as a network takes them, channels first. */
export function emptySplit(input: PictureInput, count: number): Split {
  const [channels, height, width] = pictureDims(input);
  const pixels = new Uint8Array(count * channels * height * width);
  return { count, channels, height, width, labels: undefined, pixels };
}

/** Patterns and shapes as a network takes them, the same for the same seed; grey where it takes grey ones. */
export function generatedPictures(input: PictureInput, count: number, seed = 0): Split {
  const split = emptySplit(input, count);
  const { channels, height, width } = split;
  const plane = height * width;
  const colour = new Uint8Array(3 * plane);
  for (let index = 0; index < count; index++) {
    drawPattern(index % patternNames.length, { width, height }, new Random(STREAM, seed, index), colour);
    const pixels = imagePixels(split, index);
    if (channels === 3) pixels.set(colour);
    else
      for (let at = 0; at < plane; at++)
        pixels[at] = Math.round(
          (present(colour[at]) + present(colour[plane + at]) + present(colour[2 * plane + at])) / 3,
        );
  }
  return split;
}

/** Pictures of any size as a network takes them. */
export function splitOf(input: PictureInput, images: readonly ImageLike[]): Split {
  const split = emptySplit(input, images.length);
  for (const [index, image] of images.entries()) putPicture(split, index, image, input);
  return split;
}

export function putPicture(split: Split, index: number, image: ImageLike, input: PictureInput): void {
  imagePixels(split, index).set(imageLevels(image, pictureDims(input), input.format.preprocessing));
}

/** Each picture as numbers for the network. */
export function numbersOf(
  split: Split,
  { format: { preprocessing } }: PictureInput,
): readonly Float32Array[] {
  const plan = planEvaluation(split, allIndices(split), { batch: 1, preprocessing });
  return Array.from(batches(plan), ({ images }) => images.slice());
}

/** A picture of a split as pixels that can be drawn: red, green, blue, alpha. */
export function drawable(split: Split, index: number): ImageLike {
  const { channels, height, width } = split;
  const planes = imagePixels(split, index);
  const area = height * width;
  const data = new Uint8ClampedArray(4 * area).fill(255);
  for (let at = 0; at < area; at++)
    for (let channel = 0; channel < 3; channel++)
      data[4 * at + channel] = present(planes[Math.min(channel, channels - 1) * area + at]);
  return { width, height, data };
}
