import { holdOut, sampleIndices } from "../src/data/hold_out.js";
import { allIndices, type Dataset, openDataset, type Preprocessing } from "../src/data/index.js";
import { imagenetPreprocessing, readPreprocessing } from "../src/data/preprocessing.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../src/graph/types.js";
import { evaluate } from "../src/measure/accuracy.js";
import { NodeCalibration } from "../src/measure/calibration.js";
import { countGraph } from "../src/measure/count.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { upgradeOpset } from "../src/ops/passes/upgrade_opset.js";

export interface CalibrationBenchOptions {
  readonly data: string;
  /** Of the training images. */
  readonly images: number;
  readonly threads: number;
  readonly seed: number;
}

/** A network that is ready to be calibrated, and what its results are judged on. */
export interface CalibrationBench {
  /** Simplified. */
  readonly graph: Graph;
  readonly dataset: Dataset;
  readonly preprocessing: Preprocessing;
  readonly threads: number;
  /** To be released. */
  readonly runtime: NodeCalibration;
}

export async function openCalibration(
  network: Graph,
  { data, images, threads, seed }: CalibrationBenchOptions,
): Promise<CalibrationBench> {
  const graph = simplify(upgradeOpset(network));
  const dataset = await openDataset(data);
  const preprocessing = readPreprocessing(graph.metadata) ?? imagenetPreprocessing;
  const split = await dataset.train();
  const { train } = holdOut(split, 0.05, seed);
  const runtime = await NodeCalibration.open(graph, {
    split,
    indices: sampleIndices(train, images, seed),
    preprocessing,
    threads,
  });
  return { graph, dataset, preprocessing, threads, runtime };
}

export interface Judged {
  /** Multiply-accumulates (paper count) as a share of the original's. */
  readonly macs: number;
  /** On the whole test set. */
  readonly top1: number;
}

export async function judged(
  { graph, dataset, preprocessing, threads }: CalibrationBench,
  network: Graph,
): Promise<Judged> {
  const test = await dataset.test();
  const { top1 } = await evaluate(network, test, preprocessing, { threads, indices: allIndices(test) });
  const macs = countGraph(fixBatch(network, 1)).paperMacs / countGraph(fixBatch(graph, 1)).paperMacs;
  return { macs, top1 };
}
