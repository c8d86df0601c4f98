import { Tensor as OrtTensor } from "onnxruntime-common";
import { batches, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import { imageDims, type Preprocessing } from "../data/preprocessing.js";
import type { Feeds } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { float32Interface } from "../ops/passes/float16.js";
import { bestClass, classifierInterface } from "./accuracy.js";

/** How far two classifiers are apart on the same images. */
export interface Agreement {
  /** Largest absolute difference of their outputs. NaN if one of them is not a number. */
  readonly difference: number;
  /** Largest absolute output of the first one. */
  readonly magnitude: number;
  /** Images for which both have the largest output at the same class. */
  readonly samePredictions: number;
  readonly images: number;
}

/** The largest difference of one output of two networks. */
export interface OutputDifference extends Pick<Agreement, "difference" | "magnitude"> {
  readonly output: string;
}

/** Two networks with the same input and outputs, and the images `indices` of a split to run them on. */
export interface Pair {
  readonly first: Graph;
  readonly second: Graph;
  readonly split: Split;
  readonly preprocessing: Preprocessing;
  readonly indices: Uint32Array;
  /** Threads of the runtime; by default one per core. */
  readonly threads?: number;
}

/** What both networks of a pair make of one batch. */
export interface PairBatch {
  readonly first: Feeds;
  readonly second: Feeds;
  /** Images of the batch, and how many of them, from the first, count. */
  readonly size: number;
  readonly count: number;
}

/** Images in a batch where neither network fixes it. */
const DEFAULT_BATCH = 64;

/**
 * The named float32 outputs of both networks of a pair, batch by batch.
 * @throws PenniError "bad-data" if the networks do not take the images; "unsupported" if an output is not float32
 */
export async function* runPair(
  pair: Pair,
  outputs: readonly string[],
): AsyncGenerator<PairBatch, void, undefined> {
  const { first, second, split, preprocessing, indices, threads } = pair;
  const fixed = [first, second].map((graph) => classifierInterface(graph, split, preprocessing).fixedBatch);
  const batch = fixed.find((size) => size !== undefined) ?? DEFAULT_BATCH;
  const { input } = classifierInterface(first, split, preprocessing);
  const dims = imageDims(split, preprocessing);
  const options = threads === undefined ? {} : { threads };
  const a = await openSession(float32Interface(first), options);
  const b = await openSession(float32Interface(second), options);
  try {
    for (const { images, size, count } of batches(planEvaluation(split, indices, { batch, preprocessing }))) {
      const feeds = { [input]: new OrtTensor("float32", images, [size, ...dims]) };
      yield { first: await a.run(feeds, outputs), second: await b.run(feeds, outputs), size, count };
    }
  } finally {
    await a.release();
    await b.release();
  }
}

/** Runs both networks on the images `indices` of a split and compares their first outputs. */
export async function largestDifference(
  first: Graph,
  second: Graph,
  split: Split,
  preprocessing: Preprocessing,
  indices: Uint32Array,
): Promise<Agreement> {
  const { output } = classifierInterface(first, split, preprocessing);
  let agreement: Agreement = { difference: 0, magnitude: 0, samePredictions: 0, images: 0 };
  for await (const batch of runPair({ first, second, split, preprocessing, indices }, [output])) {
    const [a, b] = [scores(batch.first, output, batch), scores(batch.second, output, batch)];
    agreement = {
      ...furthest(agreement, a, b),
      samePredictions: agreement.samePredictions + samePredictions(a, b, batch.count),
      images: agreement.images + batch.count,
    };
  }
  return agreement;
}

/** The largest difference of each of the named outputs of two networks. */
export async function outputDifferences(pair: Pair, outputs: readonly string[]): Promise<OutputDifference[]> {
  let found = outputs.map((output): OutputDifference => ({ output, difference: 0, magnitude: 0 }));
  for await (const batch of runPair(pair, outputs)) {
    found = found.map((before) => ({
      output: before.output,
      ...furthest(
        before,
        scores(batch.first, before.output, batch),
        scores(batch.second, before.output, batch),
      ),
    }));
  }
  return found;
}

/**
 * The values of an output for the images that count. What is not laid out image after image is taken whole.
 * @throws PenniError "unsupported" if it is not float32
 */
export function scores(
  results: Feeds,
  output: string,
  { size, count }: Pick<PairBatch, "size" | "count">,
): Float32Array {
  const tensor = results[output];
  if (!(tensor?.data instanceof Float32Array)) {
    throw new PenniError("unsupported", `output "${output}" cannot be compared`, {
      expected: "float32",
      found: tensor?.type ?? "nothing",
    });
  }
  const [rows = 1] = tensor.dims;
  const isByImage = rows % size === 0;
  return isByImage ? tensor.data.subarray(0, (tensor.data.length / size) * count) : tensor.data;
}

function furthest(
  before: Pick<Agreement, "difference" | "magnitude">,
  a: Float32Array,
  b: Float32Array,
): Pick<Agreement, "difference" | "magnitude"> {
  let { difference, magnitude } = before;
  if (a.length !== b.length) difference = Number.NaN;
  a.forEach((value, index) => {
    // Math.max keeps a NaN.
    difference = Math.max(difference, Math.abs(value - (b[index] ?? Number.NaN)));
    magnitude = Math.max(magnitude, Math.abs(value));
  });
  return { difference, magnitude };
}

function samePredictions(a: Float32Array, b: Float32Array, count: number): number {
  const classes = a.length / count;
  const rowOf = (scored: Float32Array, image: number): Float32Array =>
    scored.subarray(image * classes, (image + 1) * classes);
  let same = 0;
  for (let image = 0; image < count; image++)
    if (bestClass(rowOf(a, image)) === bestClass(rowOf(b, image))) same += 1;
  return same;
}
