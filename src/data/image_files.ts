import { stat } from "node:fs/promises";
import { present } from "../graph/at.js";
import { entryKind } from "./files.js";
import { type Entry, type FolderEntries, FolderReader, type ImageEntry } from "./folder_reader.js";
import { describeFormats } from "./format_notices.js";
import { holdOut } from "./hold_out.js";
import { READ_FORMATS } from "./image_formats.js";
import { badData, someNames } from "./messages.js";
import { type FilePath, shownPath } from "./paths.js";
import { FRAMES } from "./skipped.js";

/** What folders of training and of test images are called, in any case; the first that is there is taken. */
const TRAIN_FOLDERS = ["train", "training"];
const TEST_FOLDERS = ["test", "testing", "val", "valid", "validation"];
/** From so many other folders with images on, a folder of images called "train" is one class of several. */
const FEWEST_CLASSES_BESIDE = 2;
/** Part of the images that becomes the test split where the folder has none of its own. */
const TEST_FRACTION = 0.2;

/** An image and, where it has one, the index of its class. */
export interface ImageFile {
  readonly file: FilePath;
  readonly label: number | undefined;
}

/** The images of a folder, and their classes; no class names where the images have no labels. */
export interface ImageListing {
  readonly classNames: readonly string[] | undefined;
  readonly train: readonly ImageFile[];
  readonly test: readonly ImageFile[];
  /** What was skipped and what is taken otherwise than it is called, a line for each kind. */
  readonly notices: readonly string[];
}

/** "classes": sub-folders are classes, if there are any with images in them; "none": never. */
export type LabelSource = "classes" | "none";

interface ListedImage extends ImageEntry {
  readonly label: number | undefined;
}

/** One part of a listing. */
interface Part {
  readonly classNames: readonly string[] | undefined;
  readonly files: readonly ListedImage[];
}

type Parts = Pick<ImageListing, "classNames"> & {
  readonly train: readonly ListedImage[];
  readonly test: readonly ListedImage[];
};

/**
 * Lists the images of `folder` itself, or of `folder/train` and `folder/test` (or `val`, `validation`; in any case): files
 * with the content
 * of a format that is read, whatever format their extension promises. Images in sub-folders have the sub-folders as
 * classes; where none of the sub-folders holds an image itself, or `labels` is "none", all images at any depth are taken,
 * without labels. Without test images of their own a fifth (of every class) becomes the test split, drawn for `seed`.
 * @throws PenniError "bad-data" naming the path
 */
export async function listImages(folder: string, labels: LabelSource, seed: number): Promise<ImageListing> {
  const kind = await entryKind(folder);
  if (kind !== "folder") {
    throw badData(folder, kind === "file" ? "this is a file, where a folder is needed" : "no such folder", {
      advice: "Give a folder of images, or with one sub-folder per class.",
    });
  }
  const reader = new FolderReader();
  const parts = await listParts(reader, folder, labels, seed);
  const notices = [
    ...reader.skipped.describe(folder),
    ...describeFormats([...parts.train, ...parts.test], folder),
    ...describeUntested(parts),
  ];
  const plain = ({ path: file, label }: ListedImage): ImageFile => ({ file, label });
  return { ...parts, train: parts.train.map(plain), test: parts.test.map(plain), notices };
}

/** Says which classes nothing is measured on. */
function describeUntested({ classNames, test }: Parts): readonly string[] {
  if (classNames === undefined) return [];
  const tested = new Set(test.map(({ label }) => label));
  const untested = classNames.filter((_, label) => !tested.has(label));
  if (untested.length === 0) return [];
  return [
    `${untested.length} of ${classNames.length} classes ${untested.length === 1 ? "has" : "have"} no test image (${someNames(untested)}): a class of one image is trained on alone`,
  ];
}

async function listParts(
  reader: FolderReader,
  folder: string,
  labels: LabelSource,
  seed: number,
): Promise<Parts> {
  const entries = await reader.read(folder);
  const named = (names: readonly string[]): Entry | undefined =>
    names
      .map((name) => entries.folders.find((entry) => entry.name.toLowerCase() === name))
      .find((entry) => entry !== undefined);
  const train = named(TRAIN_FOLDERS);
  const testFolder = named(TEST_FOLDERS);
  const isClass =
    labels === "classes" && testFolder === undefined && (await isOneClass(reader, entries, train));
  if (train === undefined || isClass) return divide(await listPart(reader, folder, labels), seed);
  for (const { path: unused } of [...entries.folders, ...entries.images])
    if (unused !== train.path && unused !== testFolder?.path) reader.skipped.add("beside", unused);
  const training = await listPart(reader, train.path, labels);
  if (testFolder === undefined) return divide(training, seed);
  const testing = await listTest(reader, testFolder.path, training.classNames);
  return { classNames: training.classNames, train: training.files, test: testing.files };
}

/** Whether a folder of this name holds images itself, as several others do: trains are things too. */
async function isOneClass(
  reader: FolderReader,
  { folders }: FolderEntries,
  train: Entry | undefined,
): Promise<boolean> {
  if (train === undefined || !(await holdsImages(reader, train.path))) return false;
  let beside = 0;
  for (const { path } of folders) if (path !== train.path && (await holdsImages(reader, path))) beside += 1;
  return beside >= FEWEST_CLASSES_BESIDE;
}

/** Not of a folder that cannot be read, which may be none of the images'. */
async function holdsImages(reader: FolderReader, folder: FilePath): Promise<boolean> {
  const entries = await reader.read(folder).catch(() => undefined);
  return entries !== undefined && entries.images.length > 0;
}

async function listPart(reader: FolderReader, folder: FilePath, labels: LabelSource): Promise<Part> {
  const hasClasses = labels === "classes" && (await holdsClasses(reader, folder));
  return hasClasses ? listClasses(reader, folder) : listUnlabelled(reader, folder);
}

/** Test images with the classes of the training images, or without any as those. */
function listTest(
  reader: FolderReader,
  folder: FilePath,
  classNames: readonly string[] | undefined,
): Promise<Part> {
  return classNames === undefined ? listUnlabelled(reader, folder) : listClasses(reader, folder, classNames);
}

/**
 * Whether a sub-folder holds an image itself.
 * @throws PenniError "bad-data" if the folder does so too: the sub-folders may be classes or, say, masks
 */
async function holdsClasses(reader: FolderReader, folder: FilePath): Promise<boolean> {
  const { folders, images } = await reader.read(folder);
  // One after the other: each has many files open already.
  let isClass = false;
  for (const entry of folders) isClass = (await reader.read(entry.path)).images.length > 0 || isClass;
  if (!isClass) return false;
  if (images.length === 0) return true;
  throw badData(shownPath(folder), "images beside class folders", {
    expected: "images in class folders only, or no folders",
    found: `${someNames(namesOf(images))} beside ${someNames(namesOf(folders))}`,
    advice: "Move them, or take all images without labels: images:DIR",
  });
}

const namesOf = (entries: readonly Entry[]): readonly string[] => entries.map(({ name }) => name);

/** The images of every class; the classes are those that are there, or exactly `expected`. */
async function listClasses(
  reader: FolderReader,
  folder: FilePath,
  expected?: readonly string[],
): Promise<Part> {
  const { folders } = await reader.read(folder);
  const classNames = expected ?? namesOf(folders);
  if (namesOf(folders).join("/") !== classNames.join("/")) {
    throw badData(shownPath(folder), "the classes differ from those of the training images", {
      expected: someNames(classNames),
      found: someNames(namesOf(folders)),
      advice: "Give both the same sub-folders.",
    });
  }
  const byClass: ListedImage[][] = [];
  for (const [label, entry] of folders.entries()) byClass.push(await listClass(reader, entry.path, label));
  return { classNames, files: byClass.flat() };
}

async function listClass(reader: FolderReader, folder: FilePath, label: number): Promise<ListedImage[]> {
  const entries = await reader.read(folder);
  for (const nested of entries.folders) reader.skipped.add("nested", nested.path);
  if (entries.images.length > 0) return entries.images.map((image) => ({ ...image, label }));
  throw badData(shownPath(folder), "a class folder without images", {
    expected: `${READ_FORMATS} files`,
    found: someNames(allNames(entries)),
    advice: "Add images, or remove the folder; images:DIR takes all images without labels.",
  });
}

function allNames({ folders, images, rest }: FolderEntries): readonly string[] {
  return [...namesOf(folders), ...namesOf(images), ...rest];
}

/** All images below a folder. */
async function listUnlabelled(reader: FolderReader, folder: FilePath): Promise<Part> {
  const images = await listTree(reader, folder);
  if (images.length > 0)
    return { classNames: undefined, files: images.map((image) => ({ ...image, label: undefined })) };
  throw badData(shownPath(folder), "no images", {
    expected: `${READ_FORMATS} files, or one sub-folder per class with such files in it`,
    found: someNames(allNames(await reader.read(folder))),
    ...(reader.skipped.has("video") ? { advice: `Take pictures out of the videos: ${FRAMES}` } : {}),
  });
}

/** Each folder once: links may lead in circles. A folder below that cannot be read is skipped. */
async function listTree(reader: FolderReader, root: FilePath): Promise<readonly ImageEntry[]> {
  const visited = new Set<string>();
  const found: ImageEntry[] = [];
  const walk = async (folder: FilePath): Promise<void> => {
    const { dev, ino } = await stat(folder, { bigint: true });
    if (visited.has(`${dev} ${ino}`)) {
      reader.skipped.add("repeated", folder);
      return;
    }
    visited.add(`${dev} ${ino}`);
    const entries = await reader.read(folder).catch((error: unknown) => {
      if (folder === root) throw error;
      reader.skipped.add("unreadable", folder);
      return undefined;
    });
    if (entries === undefined) return;
    found.push(...entries.images);
    for (const entry of entries.folders) await walk(entry.path);
  };
  await walk(root);
  return found;
}

function divide({ classNames, files }: Part, seed: number): Parts {
  const labels =
    classNames === undefined ? undefined : Uint16Array.from(files, ({ label }) => present(label));
  const { validation } = holdOut({ count: files.length, labels }, TEST_FRACTION, seed);
  const heldOut = new Set(validation);
  return {
    classNames,
    train: files.filter((_, index) => !heldOut.has(index)),
    test: files.filter((_, index) => heldOut.has(index)),
  };
}
