import { Tensor as OrtTensor } from "onnxruntime-common";
import { batches, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import { imageDims, type Preprocessing } from "../data/preprocessing.js";
import { openSession } from "../execute/node.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { classifierInterface } from "./accuracy.js";

/** What images an output is looked at on. */
export interface DeviationImages {
  readonly split: Split;
  readonly indices: Uint32Array;
  readonly preprocessing: Preprocessing;
  /** Threads of the runtime. */
  readonly threads: number;
}

/** How an output varies with the image, or why that cannot be said. */
export type OutputDeviation =
  | { readonly deviation: number; readonly dims: readonly number[] }
  | { readonly problem: string };

/** An output that varies by less than this share of its size is the same for every image, rounding aside. */
const LEAST_VARIATION = 1e-6;
/** Its inverse is a float32 number. */
const LEAST_DEVIATION = 1e-30;

/**
 * How far outputs of a network differ from image to image: the root of the variance over the images, averaged over
 * the elements, each image by itself (a batch of one). Predicting the mean of every element has this error.
 * @param outputs names of float32 outputs
 * @returns by output name
 */
export async function outputDeviations(
  network: Graph,
  outputs: readonly string[],
  { split, indices, preprocessing, threads }: DeviationImages,
): Promise<ReadonlyMap<string, OutputDeviation>> {
  if (outputs.length === 0) return new Map();
  const { input } = classifierInterface(network, split, preprocessing);
  const moments = new Map(outputs.map((output) => [output, new ElementMoments()]));
  const session = await openSession(fixBatch(network, 1), { threads });
  const dims = [1, ...imageDims(split, preprocessing)];
  try {
    for (const { images } of batches(planEvaluation(split, indices, { batch: 1, preprocessing }))) {
      const results = await session.run({ [input]: new OrtTensor("float32", images, dims) }, outputs);
      for (const [output, sums] of moments) sums.add(results[output]);
    }
  } finally {
    await session.release();
  }
  return new Map([...moments].map(([output, sums]) => [output, sums.result]));
}

/** Mean and variance of every element of an output (Welford 1962). */
class ElementMoments {
  private dims: readonly number[] | undefined;
  private problem: string | undefined;
  private count = 0;
  private mean = new Float64Array();
  private squares = new Float64Array();

  add(tensor: OrtTensor | undefined): void {
    if (this.problem !== undefined) return;
    if (!(tensor?.data instanceof Float32Array)) {
      this.problem = `it is ${tensor?.type ?? "missing"}, not float32`;
      return;
    }
    const { data } = tensor;
    if (this.dims === undefined) {
      this.dims = [...tensor.dims];
      this.mean = new Float64Array(data.length);
      this.squares = new Float64Array(data.length);
    }
    if (this.dims.join() !== tensor.dims.join()) {
      this.problem = "its size depends on the image";
      return;
    }
    this.count += 1;
    for (let index = 0; index < data.length; index++) {
      const value = data[index] ?? 0;
      const before = value - (this.mean[index] ?? 0);
      const mean = (this.mean[index] ?? 0) + before / this.count;
      this.mean[index] = mean;
      this.squares[index] = (this.squares[index] ?? 0) + before * (value - mean);
    }
  }

  get result(): OutputDeviation {
    const { problem, dims = [], mean, squares, count } = this;
    if (problem !== undefined) return { problem };
    if (mean.length === 0) return { problem: "it is empty" };
    const average = (values: Float64Array): number =>
      values.reduce((sum, each) => sum + each, 0) / values.length;
    const deviation = Math.sqrt(average(squares) / count);
    if (!Number.isFinite(deviation)) return { problem: "it has values that are not finite" };
    const size = Math.sqrt(average(mean.map((value) => value * value)));
    if (deviation <= LEAST_VARIATION * size || deviation < LEAST_DEVIATION)
      return { problem: "it is the same for every image" };
    return { deviation, dims };
  }
}
