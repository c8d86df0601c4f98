import os from "node:os";
import sharp from "sharp";
import { allocateImages, type Dataset, type ImageSize, imagePixels, once, type Split } from "./dataset.js";
import { badData } from "./files.js";
import { type ImageFile, type LabelSource, listImages } from "./image_files.js";
import { READ_FORMATS } from "./image_formats.js";
import { type FilePath, openRegularFile, shownPath } from "./paths.js";

/** How to read a folder of images. */
export interface FolderOptions {
  readonly name: string;
  readonly folder: string;
  readonly size: ImageSize;
  /** Whether sub-folders are classes. */
  readonly labels: LabelSource;
  /** Decides which images become the test split where there is no folder of test images. */
  readonly seed: number;
}

/**
 * The images of a folder, found as `listImages` says. They become RGB, transparent parts black, scaled to cover the
 * size and cropped at the centre.
 * Throws `PenniError` "bad-data" that names the path, here or when a split is read.
 */
export async function openFolder({ name, folder, size, labels, seed }: FolderOptions): Promise<Dataset> {
  const { classNames, train, test, notices } = await listImages(folder, labels, seed);
  const isLabelled = classNames !== undefined;
  return {
    name,
    classNames,
    channels: 3,
    height: size.height,
    width: size.width,
    notices,
    train: once(() => decodeAll(train, size, isLabelled)),
    test: once(() => decodeAll(test, size, isLabelled)),
  };
}

async function decodeAll(files: readonly ImageFile[], size: ImageSize, isLabelled: boolean): Promise<Split> {
  const images = allocateImages({ count: files.length, channels: 3, ...size });
  const queue = files.entries();
  const work = async (): Promise<void> => {
    for (const [index, { file }] of queue) {
      toPlanar(await decode(file, size), imagePixels(images, index));
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, work));
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

/** Interleaved RGB, uint8 [height, width, 3]. */
async function decode(file: FilePath, { width, height }: ImageSize): Promise<Uint8Array> {
  try {
    return await sharp(await readPicture(file))
      .flatten({ background: "black" })
      .toColourspace("srgb")
      .resize({ width, height, fit: "cover", position: "centre" })
      .raw()
      .toBuffer();
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

function toPlanar(interleaved: Uint8Array, planar: Uint8Array): void {
  const plane = planar.length / 3;
  for (let pixel = 0; pixel < plane; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      planar[channel * plane + pixel] = interleaved[3 * pixel + channel] ?? 0;
    }
  }
}
