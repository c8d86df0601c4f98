import type { Command } from "commander";
import type { Dataset, ImageSize } from "../data/dataset.js";
import type { PictureFormat, PictureOptions } from "../data/picture_format.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { sourcesText } from "../data/spec.js";
import { naming } from "../graph/naming.js";
import type { Graph } from "../graph/types.js";
import { headings } from "./help.js";
import {
  addPreprocessingOptions,
  classesOption,
  classNamesOf,
  type InputShapes,
  imageSize,
  inputShape,
  wholeNumber,
} from "./options.js";

/** The options that say which images a model is measured on, and how it takes them. */
export interface ImageOptions extends PictureOptions {
  readonly data: string;
  readonly batch?: number;
  readonly imageSize?: ImageSize;
  readonly inputShape?: InputShapes;
  readonly classes?: string;
}

/** Adds them under headings of their own. */
export function addImageOptions(command: Command): Command {
  command
    .optionsGroup(headings.data)
    .requiredOption("--data <spec>", `the images: ${sourcesText()}`)
    .addOption(classesOption())
    .option("--batch <n>", "images in a batch (default: what suits the model)", wholeNumber(1));
  return addPreprocessingOptions(command.optionsGroup(headings.pictures))
    .optionsGroup(headings.model)
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
    import("../files/model_files.js"),
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
  readonly format: PictureFormat;
}

/**
 * @param useLabels whether labels meet the outputs of this model, and so must be of the same classes
 * @throws PenniError naming the model's file or the data's, what fits and what was found
 */
export async function openModelAndImages(
  model: string,
  options: ImageOptions,
  useLabels: (graph: Graph) => boolean,
): Promise<ModelAndImages> {
  const graph = await openModel(model, options.inputShape);
  return { graph, ...(await imagesFor(model, graph, options, useLabels)) };
}

/** The images for a model that is open already; `model` is what errors call it. */
export async function imagesFor(
  model: string,
  graph: Graph,
  options: ImageOptions,
  useLabels: (graph: Graph) => boolean,
): Promise<Omit<ModelAndImages, "graph">> {
  const [data, accuracy, { fitClasses }] = await Promise.all([
    import("../data/index.js"),
    import("../measure/accuracy.js"),
    import("../measure/classes.js"),
  ]);
  const classes = await classNamesOf(options);
  const format = await naming(model, async () => data.pictureFormat(graph, options));
  const { preprocessing } = format;
  const fixed = await naming(model, async () => accuracy.inputImageSize(graph, preprocessing));
  const size = fixed ?? options.imageSize;
  const opened = await data.openDataset(options.data, {
    preprocessing,
    ...(size === undefined ? {} : { imageSize: size }),
  });
  const dataset = await naming(model, async () => {
    accuracy.classifierInterface(graph, opened, preprocessing);
    return useLabels(graph) ? fitClasses(graph, opened, classes) : opened;
  });
  return { dataset, preprocessing, format };
}
