import { present } from "../graph/at.js";
import type { Fit } from "../runtime/index.js";
import { allocateImages, type Dataset, type ImageSize, once, type Split } from "./dataset.js";
import { type ImageFile, type LabelSource, listImages } from "./image_files.js";
import { readPictures } from "./read_pictures.js";

/** How the images of a folder come to a model: their size, channels (3: colour, 1: grey) and proportions. */
export interface ImageForm extends ImageSize {
  readonly channels: 1 | 3;
  readonly fit: Fit;
}

/** How to read a folder of images. */
export interface FolderOptions {
  readonly name: string;
  readonly folder: string;
  readonly form: ImageForm;
  /** Whether sub-folders are classes. */
  readonly labels: LabelSource;
  /** Decides which images become the test split where there is no folder of test images. */
  readonly seed: number;
}

/**
 * The images of a folder, found as `listImages` says, resized as `imageLevels` does.
 * Throws `PenniError` "bad-data" that names the path, here or when a split is read.
 */
export async function openFolder({ name, folder, form, labels, seed }: FolderOptions): Promise<Dataset> {
  const { classNames, train, test, notices } = await listImages(folder, labels, seed);
  const isLabelled = classNames !== undefined;
  return {
    name,
    classNames,
    channels: form.channels,
    height: form.height,
    width: form.width,
    notices,
    train: once(() => decodeAll(train, form, isLabelled)),
    test: once(() => decodeAll(test, form, isLabelled)),
  };
}

async function decodeAll(
  files: readonly ImageFile[],
  { fit, ...shape }: ImageForm,
  isLabelled: boolean,
): Promise<Split> {
  const images = allocateImages({ count: files.length, ...shape });
  await readPictures({ files: files.map(({ file }) => file), images, fit });
  return isLabelled ? { ...images, labels: sharedLabels(files) } : images;
}

/** In shared memory, as the pixels are. */
function sharedLabels(files: readonly ImageFile[]): Uint16Array {
  const labels = new Uint16Array(new SharedArrayBuffer(2 * files.length));
  files.forEach(({ label }, index) => {
    labels[index] = present(label, "a label");
  });
  return labels;
}
