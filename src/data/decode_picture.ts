import sharp from "sharp";
import { type Fit, type ImageLike, imageLevels } from "../runtime/index.js";
import { imagePixels, type Split } from "./dataset.js";
import { READ_FORMATS } from "./image_formats.js";
import { badData } from "./messages.js";
import { type FilePath, openRegularFile, shownPath } from "./paths.js";

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
  const picture = await decode(files[index] ?? "");
  imagePixels(images, index).set(imageLevels(picture, [channels, height, width], fit));
}

/**
 * What is in the file, uint8 [height, width, 3 or 4] in sRGB, upright as its EXIF data say: what a browser shows. It is
 * resized here and not by the decoder, because every machine that runs the model must come to the same pixels.
 */
async function decode(file: FilePath): Promise<ImageLike> {
  try {
    const image = sharp(await readFile(file))
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

async function readFile(file: FilePath): Promise<Uint8Array> {
  const handle = await openRegularFile(file);
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
