import { Tensor as OrtTensor } from "onnxruntime-common";
import { batches, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { openSession } from "../execute/node.js";
import type { Graph } from "../graph/types.js";
import { classifierInterface } from "./accuracy.js";

/** How far two classifiers are apart on the same images. */
export interface Agreement {
  /** Largest absolute difference of their outputs. NaN if one of them is not a number. */
  readonly difference: number;
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
  const ports = [first, second].map((graph) => ({ graph, ...classifierInterface(graph, split) }));
  const batch = ports.find((port) => port.fixedBatch !== undefined)?.fixedBatch ?? 64;
  const sessions = await Promise.all(
    ports.map(async (port) => ({ port, session: await openSession(port.graph) })),
  );
  let difference = 0;
  let samePredictions = 0;
  try {
    for (const images of batches(planEvaluation(split, indices, { batch, preprocessing }))) {
      const tensor = new OrtTensor("float32", images.images, [
        batch,
        split.channels,
        split.height,
        split.width,
      ]);
      const outputs: Float32Array[] = [];
      for (const { port, session } of sessions) {
        const results = await session.run({ [port.input]: tensor }, [port.output]);
        outputs.push(results[port.output]?.data as Float32Array);
      }
      const [a = new Float32Array(), b = new Float32Array()] = outputs;
      const classes = a.length / batch;
      for (let image = 0; image < images.count; image++) {
        const [left, right] = [a, b].map((scores) => scores.subarray(image * classes, (image + 1) * classes));
        if (left === undefined || right === undefined) continue;
        difference = left.reduce(
          (most, score, k) => Math.max(most, Math.abs(score - (right[k] ?? NaN))),
          difference,
        );
        if (largestIndex(left) === largestIndex(right)) samePredictions += 1;
      }
    }
  } finally {
    for (const { session } of sessions) await session.release();
  }
  return { difference, samePredictions, images: indices.length };
}

function largestIndex(scores: Float32Array): number {
  return scores.reduce((best, score, index) => (score > (scores[best] ?? 0) ? index : best), 0);
}
