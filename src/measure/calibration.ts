import { batches, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import { imageDims, type Preprocessing } from "../data/preprocessing.js";
import { Random } from "../data/random.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import { inferGraph } from "../ops/inference/infer.js";
import { batchProblem } from "./batch_independence.js";
import { comparedImages } from "./compared_images.js";
import { collectMoments, type SampleSize } from "./layer_moments.js";
import { RuntimeAlgebra } from "./matrix_algebra.js";
import type { LayerMoments, MomentsRequest } from "./moments.js";
import { outputParts } from "./output_parts.js";
import { OutputProbe } from "./output_probe.js";
import { type ImageBatches, SettledValues } from "./settled_values.js";
import { workingBatch } from "./working_batch.js";

export interface CalibrationSettings {
  readonly split: Split;
  /** The images to use. */
  readonly indices: Uint32Array;
  readonly preprocessing: Preprocessing;
  readonly threads: number;
  /** How many samples statistics are made of; by default what gave ResNet-20 the curve that all positions give. */
  readonly samples?: SampleSize;
  /** Images that errors of outputs are measured on: by default 64, and more for a network that is small. */
  readonly compared?: number;
}

/** See `docs/decisions.md`, "Calibrated compression". */
const SAMPLES: SampleSize = { most: 2 ** 17, elements: 2 ** 25, perColumn: 8 };
/** Images in a batch, where their values fit into memory. */
const LARGEST_BATCH = 128;
const LARGEST_VALUE_BYTES = 64 * 2 ** 20;
/** Float32 elements of values that are kept while a network is calibrated: 1.5 GiB. */
const KEPT_ELEMENTS = 1.5 * 2 ** 28;
/** What separates the random numbers of the images' order from others. */
const ORDER_STREAM = 5;

/** Runs networks on images for `calibrate`, in ONNX Runtime for Node. */
export class NodeCalibration {
  private constructor(
    private readonly source: ImageBatches,
    private readonly values: SettledValues,
    private readonly probe: OutputProbe,
    /** Matrix products for layers too wide for loops. */
    readonly algebra: RuntimeAlgebra,
    private readonly samples: SampleSize,
    /** Batches that errors of outputs are measured on. */
    private readonly compared: number,
  ) {}

  static async open(network: Graph, settings: CalibrationSettings): Promise<NodeCalibration> {
    const images = imagesOf(settings, await batchOf(network, settings));
    const values = new SettledValues(images, settings.threads);
    const { samples = SAMPLES, compared = comparedImages(network) } = settings;
    const batches = Math.min(images.count, Math.ceil(compared / images.size));
    const probe = await OutputProbe.open(inParts(fixBatch(network, images.size)), values, batches);
    const algebra = await RuntimeAlgebra.open(settings.threads);
    return new NodeCalibration(images, values, probe, algebra, samples, batches);
  }

  /** Float32 elements for each image that may be settled. */
  get roomPerImage(): number {
    return KEPT_ELEMENTS / this.images.all;
  }

  /** Images that moments are made from, and that errors of outputs are. */
  get images(): { readonly all: number; readonly compared: number } {
    const { count, size } = this.source;
    return { all: count * size, compared: this.compared * size };
  }

  settle(network: Graph, names: readonly string[]): Promise<void> {
    const fixed = fixBatch(network, this.source.size);
    return this.values.settle(fixed, inferGraph(fixed).types, names);
  }

  moments(
    network: Graph,
    requests: readonly MomentsRequest[],
  ): Promise<readonly (readonly LayerMoments[])[]> {
    const fixed = fixBatch(network, this.source.size);
    return collectMoments(
      fixed,
      inferGraph(fixed).types,
      requests,
      this.values,
      this.images.all,
      this.samples,
    );
  }

  outputErrors(replacements: readonly ReadonlyMap<string, Tensor>[]): Promise<readonly number[]> {
    return this.probe.errors(replacements);
  }

  release(): Promise<void> {
    return this.algebra.release();
  }
}

/** With what its outputs are put together from as outputs, each of which counts as much. */
function inParts(network: Graph): Graph {
  const { types } = inferGraph(network);
  const parts = outputParts(network);
  const found = network.outputs.flatMap(({ name }) => parts.get(name)?.map(({ value }) => value) ?? [name]);
  return { ...network, outputs: [...new Set(found)].map((name) => ({ name, type: types.get(name) })) };
}

/** Images in a batch: one where images see each other, the network's own where it is written for that. */
async function batchOf(network: Graph, settings: CalibrationSettings): Promise<number> {
  const images = settings.indices.length;
  if ((await batchProblem(network, settings)) !== undefined) return 1;
  const taken = await workingBatch(network, LARGEST_BATCH);
  return taken === LARGEST_BATCH ? fittingBatch(network, images) : Math.min(taken, images);
}

/** As many images as keep the network's largest value below 64 MiB, so that few are left over. */
function fittingBatch(network: Graph, images: number): number {
  const { types } = inferGraph(fixBatch(network, 1));
  const sizes = network.nodes
    .flatMap((node) => node.outputs)
    .map((name) => types.get(name)?.shape)
    .filter((shape) => shape !== undefined)
    .map((shape) => 4 * elementCount(shape.map((dim) => (typeof dim === "number" ? dim : 1))));
  const largest = sizes.reduce((most, size) => Math.max(most, size), 1);
  const most = Math.max(1, Math.min(images, LARGEST_BATCH, Math.floor(LARGEST_VALUE_BYTES / largest)));
  let best = most;
  for (let batch = most; batch > most / 2; batch--) if (images % batch < images % best) best = batch;
  return best;
}

/** Whole batches of the images in random order: a dataset is often sorted by class. What is left over is not used. */
function imagesOf({ split, indices, preprocessing }: CalibrationSettings, size: number): ImageBatches {
  const shuffled = new Random(ORDER_STREAM).shuffle(indices.slice());
  const count = Math.floor(indices.length / size);
  const used = shuffled.subarray(0, count * size);
  return {
    count,
    size,
    dims: imageDims(split, preprocessing),
    *pixels() {
      for (const { images } of batches(planEvaluation(split, used, { batch: size, preprocessing })))
        yield images;
    },
  };
}
