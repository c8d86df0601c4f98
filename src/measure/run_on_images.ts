import { Tensor as OrtTensor } from "onnxruntime-common";
import { type Batch, batches, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import { imageDims, type Preprocessing } from "../data/preprocessing.js";
import type { Feeds, Session, SessionOptions } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import type { Graph } from "../graph/types.js";

/** Some images of a split, in this order, and how a network takes them. */
export interface ChosenImages {
  readonly split: Split;
  readonly indices: Uint32Array;
  readonly preprocessing: Preprocessing;
}

/** Images, and how many threads of the runtime networks run on them with. */
export interface MeasuredImages extends ChosenImages {
  readonly threads: number;
}

/** How images go into a network, and what is wanted of it. */
export interface ImageRun {
  /** Name of the input that takes the images. */
  readonly input: string;
  /** Images in a batch. */
  readonly batch: number;
  /** Outputs to compute; by default all. */
  readonly outputs?: readonly string[];
}

/** Something that a network is run on once: a batch of images, or what stands in its place. */
export interface Fed {
  readonly feeds: Feeds;
}

/** A batch of images as a network takes them; valid until the next one is asked for. */
export type FedBatch = Batch & Fed;

/** Batches of images as feeds. @param dims of one image, as the network takes it */
export function* feedImages(
  images: Iterable<Batch>,
  input: string,
  dims: readonly number[],
): Generator<FedBatch, void, undefined> {
  for (const batch of images)
    yield { ...batch, feeds: { [input]: new OrtTensor("float32", batch.images, [batch.size, ...dims]) } };
}

/** Chosen images, in batches, as feeds. */
export function feedChosen(
  { split, indices, preprocessing }: ChosenImages,
  { input, batch }: Pick<ImageRun, "input" | "batch">,
): Generator<FedBatch, void, undefined> {
  const plan = planEvaluation(split, indices, { batch, preprocessing });
  return feedImages(batches(plan), input, imageDims(split, preprocessing));
}

/** Runs a loaded network on one item after the other: each with what it gave. */
export async function* runEach<Item extends Fed>(
  session: Pick<Session, "run">,
  items: Iterable<Item> | AsyncIterable<Item>,
  outputs?: readonly string[],
): AsyncGenerator<Item & { readonly results: Feeds }, void, undefined> {
  for await (const item of items) yield { ...item, results: await session.run(item.feeds, outputs) };
}

/** The same with a network that is loaded for it, and freed however the walk ends. */
export async function* runNetwork<Item extends Fed>(
  network: Graph,
  options: SessionOptions,
  items: Iterable<Item> | AsyncIterable<Item>,
  outputs?: readonly string[],
): AsyncGenerator<Item & { readonly results: Feeds }, void, undefined> {
  const session = await openSession(network, options);
  try {
    yield* runEach(session, items, outputs);
  } finally {
    await session.release();
  }
}

/** Runs a network on images: each batch with what the network makes of it. */
export function runOnImages(
  network: Graph,
  images: ChosenImages,
  run: ImageRun,
  options: SessionOptions = {},
): AsyncGenerator<FedBatch & { readonly results: Feeds }, void, undefined> {
  return runNetwork(network, options, feedChosen(images, run), run.outputs);
}
