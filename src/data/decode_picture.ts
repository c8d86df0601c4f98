import sharp from "sharp";
import { at, present } from "../graph/at.js";
import { type Fit, type ImageLike, imageLevels } from "../runtime/index.js";
import { imagePixels, type Split } from "./dataset.js";
import { READ_FORMATS } from "./image_formats.js";
import { badData } from "./messages.js";
import { type FilePath, openRegularFile, shownPath } from "./paths.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/** Pictures to read, and where their pixels go. */
export interface PictureRequest {
  readonly files: readonly FilePath[];
  /** As many images as files, in shared memory. */
  readonly images: Split;
  readonly fit: Fit;
}

/** Reads one picture into its place. @throws PenniError "bad-data" naming the file */
export async function readPicture({ files, images, fit }: PictureRequest, index: number): Promise<void> {
  const { channels, height, width } = images;
  const picture = await decode(at(files, index));
  imagePixels(images, index).set(imageLevels(picture, [channels, height, width], fit));
}

/**
 * What is in the file, uint8 [height, width, 3 or 4] in sRGB, upright as its EXIF data say: what a browser shows. It is
 * resized here and not by the decoder, because every machine that runs the model must come to the same pixels.
 */
async function decode(file: FilePath): Promise<ImageLike> {
  try {
    const bytes = await readFile(file);
    const { depth, space, icc } = await sharp(bytes).metadata();
    if (depth === undefined || !wholeLevels.includes(depth))
      throw new Error(`numbers of the kind ${depth}, whose white is not known`);
    const isPlainInk = space === "cmyk" && !isInkProfile(icc);
    const image = sharp(bytes).autoOrient();
    const inSpace = isPlainInk
      ? image.pipelineColourspace("cmyk").toColourspace("cmyk")
      : image.toColourspace("srgb");
    const { data, info } = await inSpace.raw().toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data: isPlainInk ? lightOf(data) : data };
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

/** Numbers of 8 and 16 bits from black to white; what TIFF has besides (float, 32 bits, signed) came out black or white. */
const wholeLevels: readonly string[] = ["uchar", "ushort"];

/** Whether a colour profile says how inks look: the colour space that its header names. */
function isInkProfile(profile: Uint8Array | undefined): boolean {
  return profile !== undefined && Buffer.from(profile.subarray(16, 20)).toString("latin1") === "CMYK";
}

/**
 * Cyan, magenta, yellow and black as red, green and blue, each pixel for itself: without a profile browsers and what
 * networks are trained with do so, while the decoder takes a printer's profile of its own.
 */
function lightOf(inks: Uint8Array): Uint8Array {
  const light = new Uint8Array((inks.length / 4) * 3);
  for (let from = 0, to = 0; from < inks.length; from += 4) {
    const black = 255 - read(inks[from + 3]);
    for (let ink = 0; ink < 3; ink += 1)
      light[to++] = Math.round(((255 - read(inks[from + ink])) * black) / 255);
  }
  return light;
}

async function readFile(file: FilePath): Promise<Uint8Array> {
  const handle = await openRegularFile(file);
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
