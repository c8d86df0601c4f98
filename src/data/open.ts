import { PenniError } from "../graph/errors.js";
import { imagenetPreprocessing, type Preprocessing } from "../graph/image_metadata.js";
import { openArrays } from "./arrays.js";
import { type CifarName, openCifar } from "./cifar.js";
import { withClassCount, withClassNames } from "./classes.js";
import type { Dataset, ImageSize } from "./dataset.js";
import { openFolder } from "./folder.js";
import { guessSpec } from "./guess_spec.js";
import { openIdx } from "./idx.js";
import type { LabelSource } from "./image_files.js";
import { everyForm, type SourceName } from "./spec.js";
import { SYNTHETIC_COUNT, syntheticDataset } from "./synthetic.js";

/** What of a preprocessing reading pictures depends on. */
type PicturePreprocessing = Pick<Preprocessing, "mean" | "resize" | "crop" | "pad">;

/** What a dataset is opened for. */
export interface OpenOptions {
  /** Size of the model's input. Needed for folders; CIFAR-10 is 32x32, the synthetic set too by default. */
  readonly imageSize?: ImageSize;
  /** How the model takes pictures: grey or in colour, and how folders' are resized. By default in colour, cut to size. */
  readonly preprocessing?: PicturePreprocessing;
  /**
   * Seed of the data itself (0): draws the synthetic images, or chooses the test images of a folder that has
   * none. Not to be varied with the seed of a training run, or its test images become training images.
   */
  readonly seed?: number;
  /**
   * Names of all classes of the model, in the order of its outputs: labels become indices of their class's name here.
   * By default classes are in the order of their names, as many as the images have.
   */
  readonly classes?: readonly string[];
}

interface SpecRequest {
  readonly spec: string;
  /** What stands after the first colon; undefined where there is no colon. */
  readonly argument: string | undefined;
  readonly imageSize: ImageSize | undefined;
  readonly preprocessing: PicturePreprocessing;
  readonly seed: number;
}

/** How each kind of images is opened: those that `--data` names, and one for calls from a program. */
const openers: Readonly<Record<SourceName | "arrays", (request: SpecRequest) => Promise<Dataset>>> = {
  cifar10: (request) => cifar("cifar10", request),
  cifar100: (request) => cifar("cifar100", request),
  idx: async (request) => ofOneSize(request, await openIdx(request.spec, location(request))),
  folder: (request) => openImages(request, "classes"),
  images: (request) => openImages(request, "none"),
  arrays: async (request) => ofOneSize(request, await openArrays(request.spec, location(request))),
  synthetic: async (request) => {
    const { imageSize: size, spec: name, seed } = request;
    return syntheticDataset({ name, count: count(request), seed, ...(size === undefined ? {} : { size }) });
  },
};

/**
 * Opens a dataset by its specification: `cifar10:DIR`, `cifar100:DIR`, `idx:DIR` (MNIST's layout), `folder:DIR` (sub-folders
 * are classes; without any, the images have no labels), `arrays:DIR` (what `writeArrays` wrote), `images:DIR` (all images at
 * any depth, without labels), `synthetic` or `synthetic:COUNT` (training images; a quarter as many test images on top).
 * Images are read when a split is asked for.
 * Throws `PenniError` "bad-option" for a specification that is none of these, "bad-data" that names the path
 * if what is there is not what it should be.
 */
export async function openDataset(spec: string, options: OpenOptions = {}): Promise<Dataset> {
  const colon = spec.indexOf(":");
  const kind = colon < 0 ? spec : spec.slice(0, colon);
  if (!isKind(kind)) return openGuessed(spec, options);
  const argument = colon < 0 ? undefined : spec.slice(colon + 1);
  const { imageSize, preprocessing = imagenetPreprocessing, seed = 0, classes } = options;
  const opened = await openers[kind]({ spec, argument, imageSize, preprocessing, seed });
  return classes === undefined ? withClassCount(opened) : withClassNames(opened, classes, "class names");
}

function isKind(kind: string): kind is keyof typeof openers {
  return Object.hasOwn(openers, kind);
}

/** A folder is taken for what the names in it tell, which is said. @throws PenniError "bad-option" if there is none */
async function openGuessed(folder: string, options: OpenOptions): Promise<Dataset> {
  const guess = await guessSpec(folder);
  if (guess === undefined) throw badSpec(folder);
  const dataset = await openDataset(guess.spec, options);
  const notice = `${folder} was taken for ${guess.looksLike}: --data ${guess.spec}`;
  const { notices: others = [] } = dataset;
  return { ...dataset, notices: [notice, ...others] };
}

async function cifar(set: CifarName, request: SpecRequest): Promise<Dataset> {
  return ofOneSize(request, await openCifar(set, request.spec, location(request)));
}

/** @throws PenniError "bad-data" if the model takes images of another size */
function ofOneSize({ spec, imageSize: size }: SpecRequest, dataset: Dataset): Dataset {
  const { width, height } = dataset;
  if (size === undefined || (size.width === width && size.height === height)) return dataset;
  throw new PenniError("bad-data", `the images of ${spec} do not fit the model`, {
    expected: `${size.width}x${size.height} pixels`,
    found: `${width}x${height}`,
    advice: `Use a model with an input of ${width}x${height} or other images (folder:DIR).`,
  });
}

async function openImages(request: SpecRequest, labels: LabelSource): Promise<Dataset> {
  const folder = location(request);
  const { imageSize: size, preprocessing, spec: name, seed } = request;
  const { mean, ...fit } = preprocessing;
  const channels = mean.length === 1 ? 1 : 3;
  if (size !== undefined) return openFolder({ name, folder, form: { ...size, channels, fit }, labels, seed });
  throw new PenniError("bad-option", "the size of the images is not known", {
    expected: "a model whose input has a fixed height and width",
    advice: "Fix them, for example with --input-shape NAME:1x3x224x224",
  });
}

/** Names the specification in place of a file: it is what is wrong, not the model. */
function badSpec(spec: string): PenniError {
  const isPlain = spec !== "" && !spec.includes(":") && !isKind(spec);
  const found = isPlain ? `"${spec}", which is no folder either` : `"${spec}"`;
  return new PenniError("bad-option", "not a dataset", { file: spec, expected: everyForm, found });
}

function location({ spec, argument }: SpecRequest): string {
  if (argument === undefined || argument === "") throw badSpec(spec);
  return argument;
}

function count({ spec, argument }: SpecRequest): number {
  if (argument === undefined) return SYNTHETIC_COUNT;
  const value = Number(argument);
  if (/^\d+$/.test(argument) && value >= 10 && value <= 1_000_000) return value;
  throw new PenniError("bad-option", "not a number of synthetic images", {
    file: spec,
    expected: "synthetic:COUNT with a COUNT from 10 to 1000000",
    found: `"${spec}"`,
  });
}
