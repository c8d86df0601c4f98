import { realpath } from "node:fs/promises";
import path from "node:path";
import { badData, entryKind, listFolder, someNames } from "./files.js";
import { holdOut } from "./hold_out.js";

const IMAGE_FILE = /\.(png|jpe?g|webp)$/i;
const TRAIN_FOLDER = "train";
const TEST_FOLDERS = ["test", "val"];
/** Part of the images that becomes the test split where the folder has none of its own. */
const TEST_FRACTION = 0.2;

/** An image and, where it has one, the index of its class. */
export interface ImageFile {
  readonly file: string;
  readonly label: number | undefined;
}

/** The images of a folder, and their classes; no class names where the images have no labels. */
export interface ImageListing {
  readonly classNames: readonly string[] | undefined;
  readonly train: readonly ImageFile[];
  readonly test: readonly ImageFile[];
}

/** "classes": sub-folders are classes, if there are any with images in them; "none": never. */
export type LabelSource = "classes" | "none";

/** One part of a listing. */
type Part = Pick<ImageListing, "classNames"> & { readonly files: readonly ImageFile[] };

/**
 * Lists the images (PNG, JPEG, WebP) of `folder` itself, or of `folder/train` and `folder/test` (or `folder/val`).
 * Images in sub-folders have the sub-folders as classes; where none of the sub-folders holds an image itself, or
 * `labels` is "none", all images at any depth are taken, without labels. Without test images of their own a fifth
 * (of every class) becomes the test split, drawn for `seed`.
 * @throws PenniError "bad-data" naming the path
 */
export async function listImages(folder: string, labels: LabelSource, seed: number): Promise<ImageListing> {
  if ((await entryKind(folder)) !== "folder") {
    throw badData(folder, "no such folder", {
      advice: "Give a folder of images, or with one sub-folder per class.",
    });
  }
  const { folders } = await listFolder(folder);
  if (!folders.includes(TRAIN_FOLDER)) return divide(await listPart(folder, labels), seed);
  const training = await listPart(path.join(folder, TRAIN_FOLDER), labels);
  const testFolder = TEST_FOLDERS.find((candidate) => folders.includes(candidate));
  if (testFolder === undefined) return divide(training, seed);
  const testing = await listTest(path.join(folder, testFolder), training.classNames);
  return { classNames: training.classNames, train: training.files, test: testing.files };
}

async function listPart(folder: string, labels: LabelSource): Promise<Part> {
  const hasClasses = labels === "classes" && (await holdsClasses(folder));
  return hasClasses ? listClasses(folder) : listUnlabelled(folder);
}

/** Test images with the classes of the training images, or without any as those. */
function listTest(folder: string, classNames: readonly string[] | undefined): Promise<Part> {
  return classNames === undefined ? listUnlabelled(folder) : listClasses(folder, classNames);
}

/**
 * Whether a sub-folder holds an image itself.
 * @throws PenniError "bad-data" if the folder does so too: the sub-folders may be classes or, say, masks
 */
async function holdsClasses(folder: string): Promise<boolean> {
  const { folders, files } = await listFolder(folder);
  const classes = await Promise.all(folders.map((name) => holdsImages(path.join(folder, name))));
  if (!classes.includes(true)) return false;
  const beside = files.filter(isImage);
  if (beside.length === 0) return true;
  throw badData(folder, "images beside class folders", {
    expected: "images in class folders only, or no folders",
    found: `${someNames(beside)} beside ${someNames(folders)}`,
    advice: "Move them, or take all images without labels: images:DIR",
  });
}

async function holdsImages(folder: string): Promise<boolean> {
  const { files } = await listFolder(folder);
  return files.some(isImage);
}

/** The images of every class; the classes are those that are there, or exactly `expected`. */
async function listClasses(folder: string, expected?: readonly string[]): Promise<Part> {
  const { folders } = await listFolder(folder);
  const classNames = expected ?? folders;
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

async function listClass(folder: string, label: number): Promise<ImageFile[]> {
  const { folders, files } = await listFolder(folder);
  const images = files.filter(isImage);
  if (images.length > 0) return images.map((file) => ({ file: path.join(folder, file), label }));
  throw badData(folder, "a class folder without images", {
    expected: "PNG, JPEG or WebP files",
    found: someNames([...folders, ...files]),
    advice: "Add images, or remove the folder; images:DIR takes all images without labels.",
  });
}

/** All images below a folder. */
async function listUnlabelled(folder: string): Promise<Part> {
  const images = await listTree(folder, new Set());
  if (images.length > 0)
    return { classNames: undefined, files: images.map((file) => ({ file, label: undefined })) };
  const { folders, files } = await listFolder(folder);
  throw badData(folder, "no images", {
    expected: "PNG, JPEG or WebP files, or one sub-folder per class with such files in it",
    found: someNames([...folders, ...files]),
  });
}

/** `visited` holds the real paths of the folders above and before: links may lead in circles. */
async function listTree(folder: string, visited: Set<string>): Promise<string[]> {
  const real = await realpath(folder);
  if (visited.has(real)) return [];
  visited.add(real);
  const { folders, files } = await listFolder(folder);
  const found = files.filter(isImage).map((file) => path.join(folder, file));
  for (const name of folders) found.push(...(await listTree(path.join(folder, name), visited)));
  return found;
}

function isImage(file: string): boolean {
  return IMAGE_FILE.test(file);
}

function divide({ classNames, files }: Part, seed: number): ImageListing {
  const labels = classNames === undefined ? undefined : Uint16Array.from(files, ({ label = 0 }) => label);
  const { validation } = holdOut({ count: files.length, labels }, TEST_FRACTION, seed);
  const heldOut = new Set(validation);
  return {
    classNames,
    train: files.filter((_, index) => !heldOut.has(index)),
    test: files.filter((_, index) => heldOut.has(index)),
  };
}
