import { present } from "../graph/at.js";
import { imagePixels, type Split } from "./dataset.js";

/** Longest side of a small picture, in pixels. */
const LONGEST_SIDE = 96;

/** One image of a split as a small PNG file: grey or in colour, never enlarged. */
export async function pngOfImage(split: Split, index: number): Promise<Buffer> {
  const { default: sharp } = await import("sharp");
  const { channels, height, width } = split;
  const planes = imagePixels(split, index);
  const shown = channels >= 3 ? 3 : 1;
  const area = height * width;
  const pixels = Buffer.alloc(shown * area);
  for (let at = 0; at < area; at++)
    for (let channel = 0; channel < shown; channel++)
      pixels[at * shown + channel] = present(planes[channel * area + at]);
  return sharp(pixels, { raw: { width, height, channels: shown } })
    .resize({ width: LONGEST_SIDE, height: LONGEST_SIDE, fit: "inside", withoutEnlargement: true })
    .png()
    .toBuffer();
}
