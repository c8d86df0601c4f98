import { at, present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Node } from "../graph/types.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/** A convolution of a network whose input columns are to be compared with wanted outputs. */
export interface MomentsRequest {
  /** The Conv node: its geometry; its weight only by its dimensions. */
  readonly conv: Node;
  /** The value [N, C, H, W] that it reads. */
  readonly input: string;
  /** The value [N, K, P, Q] that it should give. */
  readonly target: string;
}

/**
 * What a linear layer's inputs and wanted outputs are like on the calibration images: all that least squares needs.
 * Averages over images and output positions, about the means, so that a bias is always chosen best.
 */
export interface LayerMoments {
  /** Samples that were averaged. */
  readonly rows: number;
  /** Input columns: channels of a group times kernel taps, in the order of a weight's elements. */
  readonly n: number;
  /** Output channels of the group. */
  readonly outputs: number;
  /** Averages E[x x'], row-major [n, n]. */
  readonly gram: Float64Array;
  /** Averages E[y x'], row-major [outputs, n]. */
  readonly cross: Float64Array;
  /** Variance of each wanted output. */
  readonly variance: Float64Array;
  readonly inputMean: Float64Array;
  readonly targetMean: Float64Array;
}

/** What was seen of z, the input columns followed by the outputs, in batches of equally many samples. */
export interface BatchedSums {
  /** Row-major [n + outputs, n]: the sum over all samples of z x' about their batch's mean. */
  readonly squares: Float64Array;
  /** The same for the squares of the outputs: [outputs]. */
  readonly spreads: Float64Array;
  /** The mean of z in each batch: [n + outputs]. */
  readonly batchMeans: readonly Float64Array[];
  readonly rowsPerBatch: number;
  readonly n: number;
}

/** The spread of a batch's means about the mean of all comes on top of the spread within batches (Chan et al. 1979). */
export function centredMoments({ squares, spreads, batchMeans, rowsPerBatch, n }: BatchedSums): LayerMoments {
  const first = at(batchMeans, 0);
  const size = first.length;
  const outputs = size - n;
  const batches = batchMeans.length;
  const rows = batches * rowsPerBatch;
  const mean = first.map((_, i) => batchMeans.reduce((sum, means) => sum + read(means[i]), 0) / batches);
  const offsets = batchMeans.map((means) => means.map((value, i) => value - read(mean[i])));
  const products = squares.map((value) => value / rows);
  for (const offset of offsets) {
    for (let i = 0; i < size; i++) {
      const scale = read(offset[i]) / batches;
      const row = products.subarray(i * n, (i + 1) * n);
      for (let j = 0; j < n; j++) row[j] = read(row[j]) + scale * read(offset[j]);
    }
  }
  const variance = Float64Array.from({ length: outputs }, (_, k) => {
    const between = offsets.reduce((sum, offset) => sum + read(offset[n + k]) ** 2, 0) / batches;
    return Math.max(0, read(spreads[k]) / rows + between);
  });
  return {
    rows,
    n,
    outputs,
    gram: products.slice(0, n * n),
    cross: products.slice(n * n),
    variance,
    inputMean: mean.slice(0, n),
    targetMean: mean.slice(n),
  };
}

/**
 * The same layer with a penalty strength * average variance of the columns * |w - weight|^2: where the images say
 * nothing (dead inputs, fewer samples than columns), the weights stay what they were.
 * @param weight row-major [outputs, n]
 */
export function anchored(moments: LayerMoments, weight: ArrayLike<number>, strength: number): LayerMoments {
  const { n, outputs } = moments;
  const gram = moments.gram.slice();
  let trace = 0;
  for (let i = 0; i < n; i++) trace += read(gram[i * n + i]);
  // A layer whose inputs never change has no scale of its own; any positive one makes it keep its weights.
  const ridge = strength * (trace > 0 ? trace / n : 1);
  for (let i = 0; i < n; i++) gram[i * n + i] = read(gram[i * n + i]) + ridge;
  const cross = moments.cross.map((value, index) => value + ridge * read(weight[index]));
  const variance = moments.variance.map((value, k) => {
    let square = 0;
    for (let i = 0; i < n; i++) square += read(weight[k * n + i]) ** 2;
    return value + ridge * square;
  });
  return { ...moments, n, outputs, gram, cross, variance };
}

/** Moments of a weight that several layers share, each about its own means (which are those of the first here). */
export function combined(moments: readonly LayerMoments[]): LayerMoments {
  const [first, ...others] = moments;
  if (first === undefined) throw new PenniError("internal", "no moments to combine");
  if (others.length === 0) return first;
  const rows = moments.reduce((sum, part) => sum + part.rows, 0);
  const average = (pick: (part: LayerMoments) => Float64Array): Float64Array =>
    pick(first).map((_, index) =>
      moments.reduce((sum, part) => sum + (read(pick(part)[index]) * part.rows) / rows, 0),
    );
  return {
    ...first,
    rows,
    gram: average((part) => part.gram),
    cross: average((part) => part.cross),
    variance: average((part) => part.variance),
  };
}

/** Group by group over the convolutions that share a weight. */
export function combinedGroups(byConv: readonly (readonly LayerMoments[])[]): readonly LayerMoments[] {
  return at(byConv, 0).map((_, group) => combined(byConv.map((groups) => at(groups, group))));
}
