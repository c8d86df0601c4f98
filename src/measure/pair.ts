import type { Feeds } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { float32Interface } from "../ops/passes/float16.js";
import { classifierInterface } from "./accuracy.js";
import { type ChosenImages, runOnImages } from "./run_on_images.js";

/** Two networks with the same input and outputs, and the images to run them on. */
export interface Pair extends ChosenImages {
  readonly first: Graph;
  readonly second: Graph;
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
  const { first, second, split, preprocessing, threads } = pair;
  const fixed = [first, second].map((graph) => classifierInterface(graph, split, preprocessing).fixedBatch);
  const batch = fixed.find((size) => size !== undefined) ?? DEFAULT_BATCH;
  const { input } = classifierInterface(first, split, preprocessing);
  const options = threads === undefined ? {} : { threads };
  const other = await openSession(float32Interface(second), options);
  try {
    const runs = runOnImages(float32Interface(first), pair, { input, batch, outputs }, options);
    for await (const { feeds, results, size, count } of runs)
      yield { first: results, second: await other.run(feeds, outputs), size, count };
  } finally {
    await other.release();
  }
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
  // A number alone is one row.
  const rows = orDefault(tensor.dims[0], 1);
  const isByImage = rows % size === 0;
  return isByImage ? tensor.data.subarray(0, (tensor.data.length / size) * count) : tensor.data;
}
