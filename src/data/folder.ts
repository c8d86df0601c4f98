import os from "node:os";
import path from "node:path";
import sharp from "sharp";
import { allocateSplit, type Dataset, type ImageSize, imagePixels, once, type Split } from "./dataset.js";
import { badData, entryKind, listFolder, someNames } from "./files.js";
import { holdOut } from "./hold_out.js";

const IMAGE_FILE = /\.(png|jpe?g|webp)$/i;
const TRAIN_FOLDER = "train";
const TEST_FOLDERS = ["test", "val"];
/** Part of the images that becomes the test split where the folder has none of its own. */
const TEST_FRACTION = 0.2;

/** How to read a folder of images. */
export interface FolderOptions {
  readonly name: string;
  readonly folder: string;
  readonly size: ImageSize;
  /** Decides which images become the test split where there is no folder of test images. */
  readonly seed: number;
}

interface LabelledFile {
  readonly file: string;
  readonly label: number;
}

interface Listing {
  readonly classNames: readonly string[];
  readonly train: readonly LabelledFile[];
  readonly test: readonly LabelledFile[];
}

/**
 * Images (PNG, JPEG, WebP) in one sub-folder per class, in `folder` itself or in `folder/train` and
 * `folder/test` (or `folder/val`). Without test images of their own a fifth of every class becomes the test
 * split. Images become RGB, transparent parts black, scaled to cover the size and cropped at the centre.
 * Throws `PenniError` "bad-data" that names the path, here or when a split is read.
 */
export async function openFolder({ name, folder, size, seed }: FolderOptions): Promise<Dataset> {
  const { classNames, train, test } = await listImages(folder, seed);
  return {
    name,
    classNames,
    channels: 3,
    height: size.height,
    width: size.width,
    train: once(() => decodeAll(train, size)),
    test: once(() => decodeAll(test, size)),
  };
}

async function listImages(folder: string, seed: number): Promise<Listing> {
  if ((await entryKind(folder)) !== "folder") {
    throw badData(folder, "no such folder", { advice: "Give a folder with one sub-folder per class." });
  }
  const { folders } = await listFolder(folder);
  if (!folders.includes(TRAIN_FOLDER)) return divide(await listClasses(folder), seed);
  const training = await listClasses(path.join(folder, TRAIN_FOLDER));
  const testFolder = TEST_FOLDERS.find((candidate) => folders.includes(candidate));
  if (testFolder === undefined) return divide(training, seed);
  const testing = await listClasses(path.join(folder, testFolder), training.classNames);
  return { classNames: training.classNames, train: training.files, test: testing.files };
}

interface ClassFolders {
  readonly classNames: readonly string[];
  readonly files: readonly LabelledFile[];
}

/** The images of every class; the classes are those that are there, or exactly `expected`. */
async function listClasses(folder: string, expected?: readonly string[]): Promise<ClassFolders> {
  const { folders, files } = await listFolder(folder);
  const classNames = expected ?? folders;
  if (folders.length === 0) {
    throw badData(folder, "no class folders", {
      expected: "one sub-folder per class, with PNG, JPEG or WebP images in it",
      found: someNames(files),
    });
  }
  if (folders.join("/") !== classNames.join("/")) {
    throw badData(folder, "the classes differ from those of the training images", {
      expected: someNames(classNames),
      found: someNames(folders),
      advice: "Give both the same sub-folders.",
    });
  }
  const byClass = await Promise.all(
    classNames.map((className, label) => listClass(path.join(folder, className), label)),
  );
  return { classNames, files: byClass.flat() };
}

async function listClass(folder: string, label: number): Promise<LabelledFile[]> {
  const { folders, files } = await listFolder(folder);
  const images = files.filter((file) => IMAGE_FILE.test(file));
  if (images.length > 0) return images.map((file) => ({ file: path.join(folder, file), label }));
  throw badData(folder, "a class folder without images", {
    expected: "PNG, JPEG or WebP files",
    found: someNames([...folders, ...files]),
    advice: "Add images, or remove the folder.",
  });
}

function divide({ classNames, files }: ClassFolders, seed: number): Listing {
  const labels = Uint16Array.from(files, ({ label }) => label);
  const { validation } = holdOut(labels, TEST_FRACTION, seed);
  const heldOut = new Set(validation);
  return {
    classNames,
    train: files.filter((_, index) => !heldOut.has(index)),
    test: files.filter((_, index) => heldOut.has(index)),
  };
}

async function decodeAll(files: readonly LabelledFile[], size: ImageSize): Promise<Split> {
  const split = allocateSplit({ count: files.length, channels: 3, ...size });
  const queue = files.entries();
  const work = async (): Promise<void> => {
    for (const [index, { file, label }] of queue) {
      split.labels[index] = label;
      toPlanar(await decode(file, size), imagePixels(split, index));
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, work));
  return split;
}

/** Interleaved RGB, uint8 [height, width, 3]. */
async function decode(file: string, { width, height }: ImageSize): Promise<Uint8Array> {
  try {
    return await sharp(file)
      .flatten({ background: "black" })
      .toColourspace("srgb")
      .resize({ width, height, fit: "cover", position: "centre" })
      .raw()
      .toBuffer();
  } catch (cause) {
    throw badData(
      file,
      "cannot read the image",
      {
        expected: "a PNG, JPEG or WebP image",
        found: cause instanceof Error ? cause.message.replaceAll("\n", " ") : String(cause),
        advice: "Replace or remove the file.",
      },
      cause,
    );
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
