import { PenniError } from "../graph/errors.js";

/** Images of one part of a dataset with their labels, all of the same size and held in memory. */
export interface Split {
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Class of each image, an index into the dataset's class names. */
  readonly labels: Uint16Array;
  /** uint8 [count, channels, height, width]. Use `imagePixels` to read one image. */
  readonly pixels: Uint8Array;
}

/** A labelled set of images. Splits are read when they are first asked for, and then kept. */
export interface Dataset {
  /** What the user asked for, e.g. "cifar10:DIR". */
  readonly name: string;
  readonly classNames: readonly string[];
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** The training images. Throws `PenniError` "bad-data" where the files are not what they should be. */
  train(): Promise<Split>;
  /** The test images, never used to choose anything. Throws like `train`. */
  test(): Promise<Split>;
}

/** Size of images, in pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** A split whose images and labels are to be filled in. */
export type SplitShape = Pick<Split, "count" | "channels" | "height" | "width">;

/**
 * A split of zeros, in shared memory so that the thread that prepares batches reads the very same images.
 * Throws `PenniError` "bad-data" if the images do not fit into memory.
 */
export function allocateSplit({ count, channels, height, width }: SplitShape): Split {
  const bytes = count * channels * height * width;
  try {
    const pixels = new Uint8Array(new SharedArrayBuffer(bytes));
    const labels = new Uint16Array(new SharedArrayBuffer(2 * count));
    return { count, channels, height, width, labels, pixels };
  } catch (cause) {
    throw new PenniError(
      "bad-data",
      `${count} images of ${width}x${height} pixels do not fit into memory`,
      { found: `${(bytes / 2 ** 30).toFixed(1)} GiB`, advice: "Use fewer or smaller images." },
      { cause },
    );
  }
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
