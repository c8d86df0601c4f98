import { availableParallelism } from "node:os";
import type { Split } from "../data/dataset.js";
import { sampleIndices } from "../data/hold_out.js";
import { allIndices, openDataset } from "../data/index.js";
import { pictureFormat } from "../data/picture_format.js";
import type { Preprocessing } from "../data/preprocessing.js";
import type { Graph } from "../graph/types.js";
import { inputImageSize } from "../measure/accuracy.js";
import { NodeCalibration } from "../measure/calibration.js";
import {
  type Calibration,
  type CalibrationOptions,
  calibrate,
  type TargetedCalibration,
} from "./calibrate.js";
import { mergeDecompositions } from "./merge_decompositions.js";

/** Images that have been read, and how the network takes them. */
export interface CalibrationSplit {
  readonly split: Split;
  /** The images to use. */
  readonly indices: Uint32Array;
  readonly preprocessing: Preprocessing;
  readonly threads: number;
}

/** `calibrate` on images in memory, with ONNX Runtime for Node. */
export async function calibrateOnSplit(
  graph: Graph,
  images: CalibrationSplit,
  options: TargetedCalibration,
): Promise<Calibration> {
  // Layers that came decomposed go on from their own bases.
  const { graph: merged, factors } = mergeDecompositions(graph);
  const runtime = await NodeCalibration.open(merged, images);
  try {
    return await calibrate(merged, runtime, { ...options, factors });
  } finally {
    await runtime.release();
  }
}

export interface CalibrateOnImagesOptions extends Partial<CalibrationOptions> {
  /** The images: "cifar10:DIR", "folder:DIR", "images:DIR", "synthetic". Labels are not looked at. */
  readonly data: string;
  /** Multiply-accumulates to reach (paper count), as a fraction of the original's; in (0, 1]. */
  readonly fraction: number;
  /** How many of the training images, drawn at random (512). */
  readonly images?: number;
  readonly seed?: number;
  /** Default: what the network's metadata say, or ImageNet's. */
  readonly preprocessing?: Preprocessing;
  /** Threads of the runtime (one per core). */
  readonly threads?: number;
}

/**
 * Compresses a simplified network from unlabelled images, without training: see `calibrate`.
 * @throws PenniError "bad-option" if the fraction cannot be reached, "bad-data" if network and images do not fit
 */
export async function calibrateOnImages(
  graph: Graph,
  options: CalibrateOnImagesOptions,
): Promise<Calibration> {
  const { data, fraction, images = 512, seed = 0, basis = "auto" } = options;
  const preprocessing = options.preprocessing ?? pictureFormat(graph).preprocessing;
  const imageSize = inputImageSize(graph, preprocessing);
  const opening = { preprocessing, ...(imageSize === undefined ? {} : { imageSize }) };
  const split = await (await openDataset(data, opening)).train();
  return calibrateOnSplit(
    graph,
    {
      split,
      indices: sampleIndices(allIndices(split), images, seed),
      preprocessing,
      threads: options.threads ?? availableParallelism(),
    },
    { ...options, basis, fraction },
  );
}
