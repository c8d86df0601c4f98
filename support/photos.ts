import { mkdir } from "node:fs/promises";
import path from "node:path";
import sharp, { type Sharp } from "sharp";
import { imagePixels, labelsOf, type Split } from "../src/data/dataset.js";
import { Random } from "../src/data/random.js";

/** A photo made of a small image: its file, and the class of its image. */
export interface Photo {
  readonly file: string;
  readonly label: number;
}

/** Standard deviation of the noise in levels, for each pixel of the photo that a pixel of the image has become. */
const NOISE = 6;

/**
 * Writes `count` PNG files in folders of classes, `root/CLASS/NUMBER.png`: the images of a split enlarged (up to 640
 * pixels), shrunk, wider or higher than they were, a third of them with sensor noise.
 */
export async function writePhotos(
  root: string,
  split: Split,
  classNames: readonly string[],
  count: number,
): Promise<readonly Photo[]> {
  const photos: Photo[] = [];
  for (let index = 0; index < count; index++) {
    const label = labelsOf(split)[index] ?? 0;
    const folder = path.join(root, classNames[label] ?? "");
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, `${String(index).padStart(5, "0")}.png`);
    await photo(split, index).then((image) => image.png({ compressionLevel: 1 }).toFile(file));
    photos.push({ file, label });
  }
  return photos;
}

async function photo(split: Split, index: number): Promise<Sharp> {
  const { height, width, channels } = split;
  const planar = imagePixels(split, index);
  const plane = height * width;
  const interleaved = Uint8Array.from(
    planar,
    (_, at) => planar[(at % channels) * plane + Math.floor(at / channels)] ?? 0,
  );
  const random = new Random(17, index);
  const side = index % 5 === 0 ? 24 + random.below(8) : 33 + random.below(index % 7 === 0 ? 600 : 150);
  const margin = random.below(2) * random.below(Math.ceil(side / 2));
  const isWide = random.below(2) === 0;
  const [across, down] = isWide ? [margin, 0] : [0, margin];
  const resized = sharp(interleaved, { raw: { width, height, channels: 3 } }).resize(side, side, {
    kernel: "cubic",
  });
  const { data, info } = await resized
    .extend({ left: across, right: across, top: down, bottom: down, extendWith: "mirror" })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const strength = index % 3 === 0 ? (NOISE * side) / width : 0;
  const noisy = Uint8ClampedArray.from(data, (level) => level + strength * normal(random));
  return sharp(noisy, { raw: { width: info.width, height: info.height, channels: 3 } });
}

/** Nearly normal, variance 1: the sum of twelve uniform numbers, less their mean. */
function normal(random: Random): number {
  let sum = -6;
  for (let term = 0; term < 12; term++) sum += random.below(65536) / 65535;
  return sum;
}
