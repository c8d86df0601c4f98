import sharp, { type Metadata, type Sharp } from "sharp";
import { at, present } from "../graph/at.js";
import { messageOf } from "../graph/errors.js";
import { type Fit, type ImageLike, imageLevels } from "../runtime/index.js";
import { imagePixels, type Split } from "./dataset.js";
import { READ_FORMATS } from "./image_formats.js";
import { badData } from "./messages.js";
import { type FilePath, openRegularFile, shownPath } from "./paths.js";
import { hasUnspecifiedChannel } from "./tiff_extra_samples.js";

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
    const metadata = await sharp(bytes).metadata();
    expectReadable(metadata);
    const { format, space, icc } = metadata;
    const image = sharp(bytes).autoOrient();
    if (space === "cmyk" && !isInkProfile(icc)) return await lightOf(image, whiteOf(metadata));
    const inSpace = throughPipeline(image, space).toColourspace("srgb");
    const isOpaque = format === "tiff" && extraChannels(metadata) > 0 && hasUnspecifiedChannel(bytes);
    const { data, info } = await (isOpaque ? inSpace.removeAlpha() : inSpace)
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3 && info.channels !== 4) throw strangeChannels(info.channels);
    return { width: info.width, height: info.height, data };
  } catch (cause) {
    throw badData(
      shownPath(file),
      "cannot read the image",
      {
        expected: `a ${READ_FORMATS} image`,
        found: messageOf(cause) === NO_PICTURE ? "something else" : onceEach(messageOf(cause)),
        advice: "Replace or remove the file.",
      },
      cause,
    );
  }
}

/** What the decoder says of bytes that it knows no format of. */
const NO_PICTURE = "Input buffer contains unsupported image format";

/** Lines of a message as one: the decoder says some for every part of a picture. */
function onceEach(message: string): string {
  return [...new Set(message.split("\n").map((line) => line.trim()))].join(" ");
}

/** Channels of colour of each colour space that files have. */
const colourChannels: ReadonlyMap<string, number> = new Map([
  ["b-w", 1],
  ["grey16", 1],
  ["srgb", 3],
  ["rgb16", 3],
  ["cmyk", 4],
]);

/** How many channels a picture has beside those of colour; 0 where its colour space is another. */
function extraChannels({ space, channels }: Metadata): number {
  return channels - (colourChannels.get(space) ?? channels);
}

/** The largest number of what is from black to white in whole steps. */
const whites: ReadonlyMap<string, number> = new Map([
  ["uchar", 255],
  ["ushort", 65535],
]);

/** The decoder's names of the formats that are read: it draws SVG as well, also where a file's first bytes hide that. */
const decoded: ReadonlySet<string> = new Set(["png", "jpeg", "webp", "gif", "tiff", "heif"]);

/** What TIFF has besides (float, 32 bits, signed) came out black or white, and a fifth channel as colour. */
function expectReadable(metadata: Metadata): void {
  if (!decoded.has(metadata.format)) throw new Error(`${metadata.format}, another format`);
  whiteOf(metadata);
  const most = metadata.space === "cmyk" ? 0 : 1;
  if (extraChannels(metadata) > most) throw strangeChannels(metadata.channels);
}

function strangeChannels(count: number): Error {
  return new Error(`${count} channels, of which it is not known which are colours`);
}

function whiteOf({ depth }: Metadata): number {
  const white = whites.get(depth);
  if (white === undefined) throw new Error(`numbers of the kind ${depth}, whose white is not known`);
  return white;
}

/**
 * Of 16 bits the decoder leaves out the colour profile of grey, and ends in another space than sRGB where colours have
 * one, unless it works in the space of 8 bits.
 */
const pipelines: ReadonlyMap<string, string> = new Map([
  ["grey16", "b-w"],
  ["rgb16", "srgb"],
]);

function throughPipeline(image: Sharp, space: string): Sharp {
  const pipeline = pipelines.get(space);
  return pipeline === undefined ? image : image.pipelineColourspace(pipeline);
}

/** Whether a colour profile says how inks look: the colour space that its header names. */
function isInkProfile(profile: Uint8Array | undefined): boolean {
  return profile !== undefined && Buffer.from(profile.subarray(16, 20)).toString("latin1") === "CMYK";
}

/**
 * Cyan, magenta, yellow and black as red, green and blue, each pixel for itself: without a profile browsers and what
 * networks are trained with do so, while the decoder takes a printer's profile of its own.
 */
async function lightOf(image: Sharp, white: number): Promise<ImageLike> {
  const { data, info } = await image
    .pipelineColourspace("cmyk")
    .toColourspace("cmyk")
    .raw({ depth: white === 255 ? "uchar" : "ushort" })
    .toBuffer({ resolveWithObject: true });
  const inks = white === 255 ? data : new Uint16Array(data.buffer, data.byteOffset, data.length / 2);
  const light = new Uint8Array((inks.length / 4) * 3);
  for (let from = 0, to = 0; from < inks.length; from += 4) {
    const black = white - read(inks[from + 3]);
    for (let ink = 0; ink < 3; ink += 1)
      light[to++] = Math.round((255 * (white - read(inks[from + ink])) * black) / white ** 2);
  }
  return { width: info.width, height: info.height, data: light };
}

async function readFile(file: FilePath): Promise<Uint8Array> {
  const handle = await openRegularFile(file);
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
