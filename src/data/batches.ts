import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { type Augmentation, drawPlacement, type Placement, unchanged, writeImage } from "./augment.js";
import { type ImageSize, imagePixels, type Split } from "./dataset.js";
import { type PixelWriting, type Preprocessing, pixelWriting } from "./preprocessing.js";
import { Random } from "./random.js";

/** One batch, ready to be fed. The arrays are reused: they are valid until the next batch is asked for. */
export interface Batch {
  /** Position in the epoch, from 0. */
  readonly index: number;
  /** Images in a batch. */
  readonly size: number;
  /** Images that count; the rest, in an incomplete batch, are zeros (with label 0). */
  readonly count: number;
  /** float32, normalised: the batch, then `imageDims` of the model's layout. */
  readonly images: Float32Array<ArrayBuffer>;
  /** int64 [batch], the class of each image; undefined where the images have no labels. */
  readonly labels: BigInt64Array<ArrayBuffer> | undefined;
}

/** What one training epoch looks like. The same options give the same batches, bit for bit. */
export interface EpochOptions {
  /** Images in a batch. */
  readonly batch: number;
  readonly preprocessing: Preprocessing;
  readonly augmentation: Augmentation;
  readonly seed: number;
  /** Number of the epoch, from 0: each has its own order and augmentation. */
  readonly epoch: number;
  /** Batch to begin with (0), so as to resume within an epoch. */
  readonly startBatch?: number;
}

/** How images are fed for evaluation. */
export interface EvaluationOptions {
  readonly batch: number;
  readonly preprocessing: Preprocessing;
}

/** Which batches to make from which images, as data that can be sent to another thread. */
export interface BatchPlan {
  readonly split: Split;
  /** The images to use, in the order in which they are to be used. */
  readonly indices: Uint32Array;
  readonly batch: number;
  readonly writing: PixelWriting;
  readonly firstBatch: number;
  /** One more than the last batch. */
  readonly endBatch: number;
  /** Absent for evaluation. */
  readonly training?: {
    readonly augmentation: Augmentation;
    readonly seed: number;
    readonly epoch: number;
  };
}

/** What the two uses of random numbers in an epoch add to their keys, so that their streams differ. */
const ORDER_STREAM = 1;
const AUGMENTATION_STREAM = 2;

/**
 * The batches of one training epoch over the images `indices` of a split: shuffled, augmented, without the
 * incomplete last batch (the paper's and everyone's recipe: batch statistics need whole batches).
 * Throws `PenniError` "bad-data" if the preprocessing does not fit the images, "bad-option" if there are too
 * few of them for one batch.
 */
export function planEpoch(split: Split, indices: Uint32Array, options: EpochOptions): BatchPlan {
  const { batch, preprocessing, augmentation, seed, epoch, startBatch = 0 } = options;
  if (indices.length < batch) {
    throw new PenniError("bad-option", "a batch is larger than the training data", {
      expected: `at most ${indices.length} images in a batch`,
      found: `${batch}`,
      advice: "Use a smaller batch or more images.",
    });
  }
  return {
    split,
    indices: new Random(ORDER_STREAM, seed, epoch).shuffle(indices.slice()),
    batch,
    writing: pixelWriting(preprocessing, split.channels),
    firstBatch: startBatch,
    endBatch: Math.floor(indices.length / batch),
    training: { augmentation, seed, epoch },
  };
}

/**
 * All images `indices` of a split, once, in that order, as they are; the last batch may be incomplete.
 * Throws `PenniError` "bad-data" if the preprocessing does not fit the images.
 */
export function planEvaluation(split: Split, indices: Uint32Array, options: EvaluationOptions): BatchPlan {
  const { batch, preprocessing } = options;
  const writing = pixelWriting(preprocessing, split.channels);
  const endBatch = Math.ceil(indices.length / batch);
  return { split, indices, batch, writing, firstBatch: 0, endBatch };
}

/** The indices of all images of a split. */
export function allIndices({ count }: Pick<Split, "count">): Uint32Array {
  return Uint32Array.from({ length: count }, (_, index) => index);
}

/** Room for one batch. */
export interface BatchBuffers {
  readonly images: Float32Array<ArrayBuffer>;
  readonly labels: BigInt64Array<ArrayBuffer> | undefined;
}

export function allocateBatch({ split, batch }: BatchPlan): BatchBuffers {
  const { channels, height, width } = split;
  return {
    images: new Float32Array(batch * channels * height * width),
    labels: split.labels === undefined ? undefined : new BigInt64Array(batch),
  };
}

/** The memory of a batch's arrays, for handing it to another thread. */
export function batchMemory({ images, labels }: BatchBuffers): ArrayBuffer[] {
  return labels === undefined ? [images.buffer] : [images.buffer, labels.buffer];
}

/**
 * Writes batch number `index` of a plan into buffers. What is written depends on the plan and the number
 * alone, never on what was made before.
 */
export function writeBatch(plan: BatchPlan, index: number, buffers: BatchBuffers): Batch {
  const { split, indices, batch, writing, training } = plan;
  const { images, labels } = buffers;
  const imageSize = split.channels * split.height * split.width;
  const used = indices.subarray(index * batch, (index + 1) * batch);
  const nextPlacement = training === undefined ? () => unchanged : placements(training, split, index);
  used.forEach((image, position) => {
    const pixels = imagePixels(split, image);
    writeImage(pixels, split, nextPlacement(), writing, images, position * imageSize);
    if (labels !== undefined) labels[position] = BigInt(present(split.labels?.[image], "a label"));
  });
  images.fill(0, used.length * imageSize);
  labels?.fill(0n, used.length);
  return { index, size: batch, count: used.length, images, labels };
}

/** What the images of a batch go through, one after the other. */
function placements(
  { augmentation, seed, epoch }: NonNullable<BatchPlan["training"]>,
  size: ImageSize,
  index: number,
): () => Placement {
  const random = new Random(AUGMENTATION_STREAM, seed, epoch, index);
  return () => drawPlacement(augmentation, random, size);
}

/** The batches of a plan, each made when it is asked for. See `prefetch` for making them in advance. */
export function* batches(plan: BatchPlan): Generator<Batch, void, undefined> {
  const buffers = allocateBatch(plan);
  for (let index = plan.firstBatch; index < plan.endBatch; index += 1) {
    yield writeBatch(plan, index, buffers);
  }
}
