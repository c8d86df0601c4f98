import { PenniError } from "../graph/errors.js";
import { imagenetPreprocessing, type Preprocessing } from "../graph/image_metadata.js";
import { openCifar10 } from "./cifar10.js";
import type { Dataset, ImageSize } from "./dataset.js";
import { openFolder } from "./folder.js";
import type { LabelSource } from "./image_files.js";
import { SYNTHETIC_COUNT, syntheticDataset } from "./synthetic.js";

/** What a dataset is opened for. */
export interface OpenOptions {
  /** Size of the model's input. Needed for folders; CIFAR-10 is 32x32, the synthetic set too by default. */
  readonly imageSize?: ImageSize;
  /** How the model takes pictures: grey or in colour, and how folders' are resized. By default in colour, cut to size. */
  readonly preprocessing?: Pick<Preprocessing, "mean" | "resize">;
  /**
   * Seed of the data itself (0): draws the synthetic images, or chooses the test images of a folder that has
   * none. Not to be varied with the seed of a training run, or its test images become training images.
   */
  readonly seed?: number;
}

interface SpecRequest {
  readonly spec: string;
  /** What stands after the first colon; undefined where there is no colon. */
  readonly argument: string | undefined;
  readonly imageSize: ImageSize | undefined;
  readonly preprocessing: Pick<Preprocessing, "mean" | "resize">;
  readonly seed: number;
}

const EXPECTED = "cifar10:DIR, folder:DIR, images:DIR, synthetic or synthetic:COUNT";

const kinds: Readonly<Record<string, (request: SpecRequest) => Promise<Dataset>>> = {
  cifar10: async (request) => {
    const dataset = await openCifar10(request.spec, location(request));
    const { imageSize: size } = request;
    if (size === undefined || (size.width === 32 && size.height === 32)) return dataset;
    throw new PenniError("bad-data", "the images of CIFAR-10 do not fit the model", {
      expected: `${size.width}x${size.height} pixels`,
      found: "32x32",
      advice: "Use a model with an input of 32x32 or other images (folder:DIR).",
    });
  },
  folder: (request) => openImages(request, "classes"),
  images: (request) => openImages(request, "none"),
  synthetic: async (request) => {
    const { imageSize: size, spec: name, seed } = request;
    return syntheticDataset({ name, count: count(request), seed, ...(size === undefined ? {} : { size }) });
  },
};

/**
 * Opens a dataset by its specification: `cifar10:DIR`, `folder:DIR` (sub-folders are classes; without any, the images
 * have no labels), `images:DIR` (all images at any depth, without labels), `synthetic` or `synthetic:COUNT`
 * (training images; a quarter as many test images on top). Images are read when a split is asked for.
 * Throws `PenniError` "bad-option" for a specification that is none of these, "bad-data" that names the path
 * if what is there is not what it should be.
 */
export async function openDataset(spec: string, options: OpenOptions = {}): Promise<Dataset> {
  const colon = spec.indexOf(":");
  const kind = colon < 0 ? spec : spec.slice(0, colon);
  const open = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (open === undefined) throw badSpec(spec);
  const argument = colon < 0 ? undefined : spec.slice(colon + 1);
  const { imageSize, preprocessing = imagenetPreprocessing, seed = 0 } = options;
  return open({ spec, argument, imageSize, preprocessing, seed });
}

async function openImages(request: SpecRequest, labels: LabelSource): Promise<Dataset> {
  const folder = location(request);
  const { imageSize: size, preprocessing, spec: name, seed } = request;
  const { mean, resize } = preprocessing;
  const channels = mean.length === 1 ? 1 : 3;
  if (size !== undefined)
    return openFolder({ name, folder, form: { ...size, channels, resize }, labels, seed });
  throw new PenniError("bad-option", "the size of the images is not known", {
    expected: "a model whose input has a fixed height and width",
    advice: "Give the image size.",
  });
}

function badSpec(spec: string): PenniError {
  return new PenniError("bad-option", "not a dataset", { expected: EXPECTED, found: `"${spec}"` });
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
    expected: "synthetic:COUNT with a COUNT from 10 to 1000000",
    found: `"${spec}"`,
  });
}
