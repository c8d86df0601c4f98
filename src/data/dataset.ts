import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";

/** Images of one part of a dataset, all of the same size and held in memory. */
export interface Split {
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Class of each image, an index into the dataset's class names; undefined where the images have no labels. */
  readonly labels: Uint16Array | undefined;
  /** How many classes the labels are of; where absent, only the labels themselves say. */
  readonly classes?: number;
  /** uint8 [count, channels, height, width]. Use `imagePixels` to read one image. */
  readonly pixels: Uint8Array;
}

/** A split whose images have labels. */
export interface LabelledSplit extends Split {
  readonly labels: Uint16Array;
}

/** A set of images. Splits are read when they are first asked for, and then kept. */
export interface Dataset {
  /** What the user asked for, e.g. "cifar10:DIR". */
  readonly name: string;
  /** Undefined where the images have no labels. */
  readonly classNames: readonly string[] | undefined;
  /** What the user should know about the images, a line each. */
  readonly notices?: readonly string[];
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** The training images. Throws `PenniError` "bad-data" where the files are not what they should be. */
  train(): Promise<Split>;
  /** The test images, never used to choose anything. Throws like `train`. */
  test(): Promise<Split>;
}

/** What the user should know about the images, a line each: no line where there is nothing to say. */
export function noticesOf({ notices }: Pick<Dataset, "notices">): readonly string[] {
  return orDefault(notices, []);
}

/** Size of images, in pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** A split whose images (and labels) are to be filled in. */
export type SplitShape = Pick<Split, "count" | "channels" | "height" | "width">;

/**
 * A split of zeros, in shared memory so that the thread that prepares batches reads the very same images.
 * Throws `PenniError` "bad-data" if the images do not fit into memory.
 */
export function allocateSplit(shape: SplitShape): LabelledSplit {
  return { ...allocateImages(shape), labels: new Uint16Array(new SharedArrayBuffer(2 * shape.count)) };
}

/** The same for images without labels. */
export function allocateImages({ count, channels, height, width }: SplitShape): Split {
  const bytes = count * channels * height * width;
  try {
    const pixels = new Uint8Array(new SharedArrayBuffer(bytes));
    return { count, channels, height, width, labels: undefined, pixels };
  } catch (cause) {
    throw new PenniError(
      "bad-data",
      `${count} images of ${width}x${height} pixels do not fit into memory`,
      { found: `${(bytes / 2 ** 30).toFixed(1)} GiB`, advice: "Use fewer or smaller images." },
      { cause },
    );
  }
}

/**
 * The class of each image.
 * @throws PenniError "bad-data" if the images have no labels
 */
export function labelsOf({ labels }: Pick<Split, "labels">): Uint16Array {
  if (labels !== undefined) return labels;
  throw new PenniError("bad-data", "the images have no labels", {
    expected: "one sub-folder per class, or a labelled data set",
    found: "images without classes",
    advice: "Without labels, penni compress --loss distill compares a network with its original",
  });
}

/** The pixels of one image, uint8 [channels, height, width]: a window, not a copy. */
export function imagePixels(split: Split, index: number): Uint8Array {
  const size = split.channels * split.height * split.width;
  return split.pixels.subarray(index * size, (index + 1) * size);
}

/** Calls `load` at the first call only; everyone gets the same promise. */
export function once<Value>(load: () => Promise<Value>): () => Promise<Value> {
  let pending: Promise<Value> | undefined;
  return () => {
    pending ??= load();
    return pending;
  };
}
