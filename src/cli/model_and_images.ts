import type { Command } from "commander";
import type { Dataset, ImageSize } from "../data/dataset.js";
import type { Preprocessing } from "../data/preprocessing.js";
import type { Graph } from "../graph/types.js";
import {
  addPreprocessingOptions,
  type InputShapes,
  imageSize,
  inputShape,
  naming,
  wholeNumber,
} from "./options.js";

/** The options that say which images a model is measured on, and how it takes them. */
export interface ImageOptions {
  readonly data: string;
  readonly batch?: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly imageSize?: ImageSize;
  readonly inputShape?: InputShapes;
}

export function addImageOptions(command: Command): Command {
  command
    .requiredOption(
      "--data <spec>",
      "the images: cifar10:DIR, folder:DIR, images:DIR (no labels) or synthetic",
    )
    .option("--batch <n>", "images in a batch", wholeNumber(1));
  return addPreprocessingOptions(command)
    .option("--image-size <WxH>", "size of the images where the model leaves it open", imageSize)
    .option(
      "--input-shape <NAME:DIMS>",
      "the same as dimensions of an input, as input:1x3x32x32",
      inputShape,
    );
}

/**
 * The model of a file, with the input dimensions that the user gave, and shapes behind operators without a rule.
 * @throws PenniError naming the file
 */
export async function openModel(file: string, shapes: InputShapes = new Map()): Promise<Graph> {
  const [{ readModel }, { specializeInputs }, { shapedForRuns }] = await Promise.all([
    import("../onnx/files.js"),
    import("../graph/passes/fix_input_shape.js"),
    import("../measure/runtime_shapes.js"),
  ]);
  const given = await readModel(file);
  return naming(file, () => shapedForRuns(specializeInputs(given, shapes)));
}

/** A model's file and the images for it, found to fit each other. */
export interface ModelAndImages {
  readonly graph: Graph;
  readonly dataset: Dataset;
  readonly preprocessing: Preprocessing;
}

/** @throws PenniError naming the model's file or the data's, what fits and what was found */
export async function openModelAndImages(model: string, options: ImageOptions): Promise<ModelAndImages> {
  const [graph, data, accuracy] = await Promise.all([
    openModel(model, options.inputShape),
    import("../data/index.js"),
    import("../measure/accuracy.js"),
  ]);
  const stated = data.readPreprocessing(graph.metadata) ?? data.imagenetPreprocessing;
  const preprocessing = data.overridePreprocessing(stated, options);
  const size = accuracy.inputImageSize(graph) ?? options.imageSize;
  const dataset = await data.openDataset(options.data, size === undefined ? {} : { imageSize: size });
  await naming(model, async () => accuracy.classifierInterface(graph, dataset));
  return { graph, dataset, preprocessing };
}
