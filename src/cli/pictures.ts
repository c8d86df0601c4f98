import type { PictureFormat } from "../data/picture_format.js";
import type { Output } from "./terminal.js";

/** Says how the model takes pictures and who says so, before anything runs. */
export async function printPictures(stream: Output, format: PictureFormat): Promise<void> {
  const { describePictureFormat } = await import("../data/picture_format.js");
  stream.write(`pictures: ${describePictureFormat(format)}\n`);
}
