import { batches, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import { imageDims, type Preprocessing } from "../data/preprocessing.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph, Tensor } from "../graph/types.js";
import { inferGraph, staticDims } from "../ops/infer.js";
import { batchProblem } from "./batch_independence.js";
import { type CalibrationImages, collectMoments } from "./layer_moments.js";
import { RuntimeProduct } from "./matrix_product.js";
import type { LayerMoments, MomentsRequest } from "./moments.js";
import { OutputProbe } from "./output_error.js";
import { workingBatch } from "./working_batch.js";

export interface CalibrationSettings {
  readonly split: Split;
  /** The images to use. */
  readonly indices: Uint32Array;
  readonly preprocessing: Preprocessing;
  /** Initializers that `outputError` may be asked to replace. */
  readonly replaceable: readonly string[];
  readonly threads: number;
}

/** Images in a batch, where their columns fit into memory. */
const LARGEST_BATCH = 128;
/** Elements that the columns of one layer may have for one batch: 256 MiB. */
const LARGEST_COLUMNS = 2 ** 26;

/** The most images that the network takes at once: one where images see each other, its own batch where it is written for that. */
async function batchLimit(network: Graph, settings: CalibrationSettings): Promise<number> {
  if ((await batchProblem(network, settings)) !== undefined) return 1;
  return workingBatch(network, LARGEST_BATCH);
}

/** Runs networks on images for `calibrate`, in ONNX Runtime for Node. */
export class NodeCalibration {
  private constructor(
    private readonly settings: CalibrationSettings,
    private readonly probe: OutputProbe,
    private readonly network: Graph,
    private readonly matrices: RuntimeProduct,
    /** The most images in a batch. */
    private readonly largestBatch: number,
  ) {}

  readonly product = (rows: Float64Array, matrix: Float64Array, n: number): Promise<Float64Array> =>
    this.matrices.multiply(rows, matrix, n);

  static async open(network: Graph, settings: CalibrationSettings): Promise<NodeCalibration> {
    const largestBatch = await batchLimit(network, settings);
    const batch = wholeBatch(settings.indices.length, largestBatch);
    const images = (): CalibrationImages => imagesOf(settings, batch);
    const { replaceable, threads } = settings;
    const probe = await OutputProbe.open(fixBatch(network, batch), replaceable, images, threads);
    return new NodeCalibration(settings, probe, network, await RuntimeProduct.open(threads), largestBatch);
  }

  async moments(
    network: Graph,
    requests: readonly MomentsRequest[],
  ): Promise<readonly (readonly LayerMoments[])[]> {
    const { indices, threads } = this.settings;
    const room = Math.floor(LARGEST_COLUMNS / this.largestColumns(requests));
    const batch = wholeBatch(indices.length, Math.max(1, Math.min(this.largestBatch, room)));
    return collectMoments(fixBatch(network, batch), requests, imagesOf(this.settings, batch), threads);
  }

  outputError(replaced: ReadonlyMap<string, Tensor>): Promise<number> {
    return this.probe.error(replaced);
  }

  async release(): Promise<void> {
    await this.probe.release();
    await this.matrices.release();
  }

  /** Elements of the largest layer's columns for one image. */
  private largestColumns(requests: readonly MomentsRequest[]): number {
    const { types } = inferGraph(fixBatch(this.network, 1));
    return Math.max(
      1,
      ...requests.map(({ conv }) => {
        const [, , ...output] = staticDims(types, conv.outputs[0] ?? "");
        const [, C = 1] = staticDims(types, conv.inputs[0] ?? "");
        const [, , ...kernel] = staticDims(types, conv.inputs[1] ?? "");
        return [C, ...output, ...kernel].reduce((product, dim) => product * dim, 1);
      }),
    );
  }
}

/** The largest batch up to `most` that divides the images into whole batches. */
function wholeBatch(images: number, most: number): number {
  for (let batch = Math.min(images, most); batch > 1; batch--) if (images % batch === 0) return batch;
  return 1;
}

function imagesOf({ split, indices, preprocessing }: CalibrationSettings, batch: number): CalibrationImages {
  return {
    batches: batches(planEvaluation(split, indices, { batch, preprocessing })),
    dims: imageDims(split, preprocessing),
  };
}
