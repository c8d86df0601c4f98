import type { Split } from "../../../src/data/dataset.js";
import { PenniError } from "../../../src/graph/errors.js";
import type { ImageLike } from "../../../src/runtime/index.js";
import { readPicture } from "../../../src/runtime/pictures.js";
import type { PictureInput } from "../model/network.js";
import { emptySplit, putPicture } from "../model/pictures.js";
import type { Report } from "./rpc.js";

/** Picture files as a network takes them, upright. @throws PenniError naming a file that is no picture */
export async function decodePictures(
  files: readonly File[],
  input: PictureInput,
  report: Report,
): Promise<Split> {
  const split = emptySplit(input, files.length);
  for (const [index, file] of files.entries()) {
    report({ text: "Reading pictures", share: index / files.length });
    putPicture(split, index, await pictureIn(file), input);
  }
  return split;
}

async function pictureIn(file: File): Promise<ImageLike> {
  try {
    return await readPicture(file);
  } catch (cause) {
    throw new PenniError(
      "bad-data",
      "this is no picture that the browser can read",
      {
        file: file.name,
        expected: "JPEG, PNG, WebP, GIF or AVIF",
        advice: "Leave it out, or save it as PNG",
      },
      { cause },
    );
  }
}
