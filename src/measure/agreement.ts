import { Tensor as OrtTensor } from "onnxruntime-common";
import { type Batch, batches, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { openSession } from "../execute/node.js";
import type { Graph } from "../graph/types.js";
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

/** Runs both networks on the images `indices` of a split and compares their first outputs. */
export async function largestDifference(
  first: Graph,
  second: Graph,
  split: Split,
  preprocessing: Preprocessing,
  indices: Uint32Array,
): Promise<Agreement> {
  const fixed = [first, second].map((graph) => classifierInterface(graph, split).fixedBatch);
  const batch = fixed.find((size) => size !== undefined) ?? 64;
  const a = await openClassifier(first, split, batch);
  const b = await openClassifier(second, split, batch);
  let agreement: Agreement = { difference: 0, magnitude: 0, samePredictions: 0, images: 0 };
  try {
    for (const images of batches(planEvaluation(split, indices, { batch, preprocessing }))) {
      agreement = compareBatch(
        agreement,
        await a.scores(images),
        await b.scores(images),
        images.count,
        batch,
      );
    }
  } finally {
    await a.release();
    await b.release();
  }
  return agreement;
}

interface OpenClassifier {
  /** float32 [batch · classes]. */
  scores(images: Batch): Promise<Float32Array>;
  release(): Promise<void>;
}

async function openClassifier(graph: Graph, split: Split, batch: number): Promise<OpenClassifier> {
  const { input, output } = classifierInterface(graph, split);
  const { channels, height, width } = split;
  const session = await openSession(graph);
  return {
    scores: async ({ images }) => {
      const feeds = { [input]: new OrtTensor("float32", images, [batch, channels, height, width]) };
      return (await session.run(feeds, [output]))[output]?.data as Float32Array;
    },
    release: () => session.release(),
  };
}

function compareBatch(
  before: Agreement,
  a: Float32Array,
  b: Float32Array,
  count: number,
  batch: number,
): Agreement {
  const classes = a.length / batch;
  let { difference, magnitude, samePredictions } = before;
  for (let image = 0; image < count; image++) {
    const left = a.subarray(image * classes, (image + 1) * classes);
    const right = b.subarray(image * classes, (image + 1) * classes);
    left.forEach((score, k) => {
      // Math.max keeps a NaN.
      difference = Math.max(difference, Math.abs(score - (right[k] ?? NaN)));
      magnitude = Math.max(magnitude, Math.abs(score));
    });
    if (bestClass(left) === bestClass(right)) samePredictions += 1;
  }
  return { difference, magnitude, samePredictions, images: before.images + count };
}
