import { mkdir, open, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { parseJson } from "../graph/json.js";
import { allocateImages, allocateSplit, type Dataset, once, type Split } from "./dataset.js";
import { readWhole } from "./files.js";
import { badData } from "./messages.js";

/** An image in memory. */
export interface GivenImage {
  /** Levels from 0 to 255, as many as the images have: [height, width, channels], or planar [channels, height, width]. */
  readonly pixels: ArrayLike<number>;
  /** Its class, from 0; of all images or of none. */
  readonly label?: number;
}

/** Images in memory, or as they come, all of one size. */
export interface GivenImages {
  readonly width: number;
  readonly height: number;
  /** Grey or in colour (3). */
  readonly channels?: 1 | 3;
  /** Whether the channels lie behind each other, not side by side for each pixel (no). */
  readonly planar?: boolean;
  /** How many classes the labels are of; by default as many as they name. */
  readonly classes?: number;
  readonly images: Iterable<GivenImage> | AsyncIterable<GivenImage>;
}

/** Files of such a dataset. */
const HEADER = "images.json";
const PIXELS = "pixels.bin";
const LABELS = "labels.bin";
/** One of so many images is kept for the test. */
const TEST_EVERY = 5;
const LARGEST_LABEL = 0xffff;
const LARGEST_SIDE = 2 ** 14;
const MOST_BYTES = 2 ** 36;

const headerSchema = z.object({
  format: z.literal(1),
  count: z.int().min(2),
  channels: z.union([z.literal(1), z.literal(3)]),
  height: z.int().min(1).max(LARGEST_SIDE),
  width: z.int().min(1).max(LARGEST_SIDE),
  /** Absent where the images have no labels. */
  classes: z
    .int()
    .min(1)
    .max(LARGEST_LABEL + 1)
    .optional(),
});

/**
 * Writes images into a folder that is not there yet, one after the other as they come, for `arrays:FOLDER`: what runs in
 * another process, or goes on another day, reads them there.
 * @throws PenniError "bad-data" naming the image that is not like it was said; "io" if the folder is there
 */
export async function writeArrays(folder: string, given: GivenImages): Promise<void> {
  await mkdir(folder).catch((cause: unknown) => {
    const advice = "Choose another directory, or remove it";
    throw new PenniError("io", "cannot make the folder of the images", { file: folder, advice }, { cause });
  });
  try {
    const { count, labels } = await writePixels(path.join(folder, PIXELS), given);
    const { channels = 3, height, width, classes } = given;
    const named = classes ?? labels.reduce((most, label) => Math.max(most, label + 1), 0);
    const header = {
      format: 1,
      count,
      channels,
      height,
      width,
      ...(labels.length > 0 && { classes: named }),
    };
    const checked = headerSchema.safeParse(header);
    if (!checked.success) throw notSuch("the images", z.prettifyError(checked.error));
    const unknown = labels.find((label) => label >= named);
    if (unknown !== undefined)
      throw notSuch("a label is of no class", `${unknown}`, `from 0 to ${named - 1}`);
    await writeFile(path.join(folder, LABELS), new Uint8Array(Uint16Array.from(labels).buffer));
    await writeFile(path.join(folder, HEADER), JSON.stringify(checked.data));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

interface Written {
  readonly count: number;
  /** As many, or none. */
  readonly labels: readonly number[];
}

async function writePixels(file: string, given: GivenImages): Promise<Written> {
  const { images, channels = 3, planar = false } = given;
  const size = given.width * given.height * channels;
  const handle = await open(file, "wx");
  const labels: number[] = [];
  let count = 0;
  try {
    for await (const { pixels, label } of images) {
      const name = `image ${count}`;
      if (pixels.length !== size) throw notSuch(name, `${pixels.length} levels`, `${size}`);
      if ((label === undefined) !== (labels.length === 0) && count > 0)
        throw notSuch(name, label === undefined ? "no label" : "a label", "labels of all images or of none");
      if (label !== undefined) labels.push(checkedLabel(name, label));
      await handle.write(levels(name, pixels, planar ? 1 : channels));
      count++;
    }
  } finally {
    await handle.close();
  }
  return { count, labels };
}

function checkedLabel(name: string, label: number): number {
  if (Number.isInteger(label) && label >= 0 && label <= LARGEST_LABEL) return label;
  throw notSuch(`the label of ${name}`, `${label}`, `a whole number from 0 to ${LARGEST_LABEL}`);
}

/** Levels in planes, of pixels of so many channels. */
function levels(name: string, pixels: ArrayLike<number>, channels: number): Uint8Array {
  const area = pixels.length / channels;
  const planes = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at++) {
    const level = pixels[at];
    if (level === undefined || !Number.isInteger(level) || level < 0 || level > 255)
      throw notSuch(`a level of ${name}`, `${level}`, "a whole number from 0 to 255");
    planes[(at % channels) * area + Math.floor(at / channels)] = level;
  }
  return planes;
}

function notSuch(what: string, found: string, expected?: string): PenniError {
  return new PenniError("bad-data", `${what}: not as images in memory must be`, {
    ...(expected === undefined ? {} : { expected }),
    found,
  });
}

/**
 * The images that `writeArrays` has written; every fifth is for the test.
 * @throws PenniError "bad-data" naming the file
 */
export async function openArrays(name: string, folder: string): Promise<Dataset> {
  const file = path.join(folder, HEADER);
  const text = new TextDecoder().decode(await readWhole(file, 2 ** 16));
  const { data: header } = headerSchema.safeParse(parseJson(text));
  if (header === undefined)
    throw badData(file, "no description of images", { expected: "what Penni writes" });
  const { count, channels, height, width, classes } = header;
  const all = once(async () => {
    const size = channels * height * width;
    const pixels = await readWhole(path.join(folder, PIXELS), MOST_BYTES);
    const labels = await readWhole(path.join(folder, LABELS), 2 * count);
    if (pixels.length !== count * size)
      throw badData(folder, "pixels are missing", { expected: `${count * size}`, found: `${pixels.length}` });
    return { pixels, labels: new Uint16Array(labels.slice().buffer) };
  });
  const part = (isWanted: (index: number) => boolean): (() => Promise<Split>) =>
    once(async () => {
      const { pixels, labels } = await all();
      const indices = Array.from({ length: count }, (_, index) => index).filter(isWanted);
      const shape = { count: indices.length, channels, height, width };
      const size = channels * height * width;
      const split = classes === undefined ? allocateImages(shape) : { ...allocateSplit(shape), classes };
      for (const [place, index] of indices.entries()) {
        split.pixels.set(pixels.subarray(index * size, (index + 1) * size), place * size);
        const label = labels[index];
        if (split.labels === undefined) continue;
        if (label === undefined || classes === undefined || label >= classes)
          throw badData(folder, "labels are missing");
        split.labels[place] = label;
      }
      return split;
    });
  const isTest = (index: number): boolean => index % TEST_EVERY === Math.min(count, TEST_EVERY) - 1;
  const classNames = classes === undefined ? undefined : Array.from({ length: classes }, (_, at) => `${at}`);
  return {
    name,
    classNames,
    channels,
    height,
    width,
    train: part((index) => !isTest(index)),
    test: part(isTest),
  };
}
