import { batches, planEvaluation } from "../../data/batches.js";
import { holdOut, sampleIndices } from "../../data/hold_out.js";
import { imageDims } from "../../data/preprocessing.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { channelMoments, type Moments } from "../../measure/statistics.js";
import { insertNormalization, normalizationSites } from "../../method/insert_normalization.js";
import type { RunContext } from "../context.js";
import type { TrainingConfig } from "../training_config.js";

const IMAGES = 512;

/** A compression or a training, and its images. */
interface ImagesOfRun extends Pick<RunContext, "dataset"> {
  readonly run: Pick<RunContext["run"], "config"> | { readonly config: TrainingConfig };
}

/** Mean and variance by channel of some of a network's values on a few training images. */
export async function momentsOf(
  graph: Graph,
  values: readonly string[],
  { run, dataset }: ImagesOfRun,
): Promise<ReadonlyMap<string, Moments>> {
  const { settings, preprocessing, seed } = run.config;
  const split = await dataset.train();
  const { train } = holdOut(split, settings.validation, seed);
  const batch = Math.min(settings.batch, train.length);
  const count = Math.max(batch, Math.floor(Math.min(IMAGES, train.length) / batch) * batch);
  return channelMoments(
    fixBatch(graph, batch),
    values,
    batches(planEvaluation(split, sampleIndices(train, count, seed), { batch, preprocessing })),
    imageDims(split, preprocessing),
    settings.threads,
  );
}

/** A network with normalisations behind its convolutions that change nothing yet, by their moments on these images. */
export async function withNormalization(graph: Graph, images: ImagesOfRun): Promise<Graph> {
  return insertNormalization(graph, await momentsOf(graph, normalizationSites(graph), images));
}
