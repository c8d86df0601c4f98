import os from "node:os";
import sharp from "sharp";
import { type Fit, type ImageLike, imageLevels } from "../runtime/index.js";
import { allocateImages, type Dataset, type ImageSize, imagePixels, once, type Split } from "./dataset.js";
import { badData } from "./files.js";
import { type ImageFile, type LabelSource, listImages } from "./image_files.js";
import { READ_FORMATS } from "./image_formats.js";
import { type FilePath, openRegularFile, shownPath } from "./paths.js";

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
  const dims = [shape.channels, shape.height, shape.width] as const;
  const queue = files.entries();
  const work = async (): Promise<void> => {
    for (const [index, { file }] of queue) {
      imagePixels(images, index).set(imageLevels(await decode(file), dims, fit));
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() + 1 }, work));
  return isLabelled ? { ...images, labels: sharedLabels(files) } : images;
}

/** In shared memory, as the pixels are. */
function sharedLabels(files: readonly ImageFile[]): Uint16Array {
  const labels = new Uint16Array(new SharedArrayBuffer(2 * files.length));
  files.forEach(({ label = 0 }, index) => {
    labels[index] = label;
  });
  return labels;
}

/**
 * What is in the file, uint8 [height, width, 3 or 4] in sRGB, upright as its EXIF data say: what a browser shows. It is
 * resized here and not by the decoder, because every machine that runs the model must come to the same pixels.
 */
async function decode(file: FilePath): Promise<ImageLike> {
  try {
    const image = sharp(await readPicture(file))
      .autoOrient()
      .toColourspace("srgb");
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data };
  } catch (cause) {
    throw badData(
      shownPath(file),
      "cannot read the image",
      {
        expected: `a ${READ_FORMATS} image`,
        found: cause instanceof Error ? cause.message.replaceAll("\n", " ") : String(cause),
        advice: "Replace or remove the file.",
      },
      cause,
    );
  }
}

async function readPicture(file: FilePath): Promise<Uint8Array> {
  const handle = await openRegularFile(file);
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
