import { PenniError } from "../../../src/graph/errors.js";
import type { ImageLike } from "../../../src/runtime/index.js";
import type { Report } from "./rpc.js";

/** Larger pictures are made smaller before anything else: no network looks at so much. */
const LONGEST_SIDE = 2048;

/** The pixels of picture files, turned as they say. @throws PenniError naming a file that is no picture */
export async function decodePictures(files: readonly File[], report: Report): Promise<readonly ImageLike[]> {
  const images: ImageLike[] = [];
  for (const file of files) {
    report({ text: "Reading pictures", share: images.length / files.length });
    images.push(pixelsOf(await bitmapOf(file)));
  }
  return images;
}

async function bitmapOf(file: File): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file);
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

export function pixelsOf(bitmap: ImageBitmap): ImageLike {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const scaled = (side: number): number => Math.max(1, Math.round(scale * side));
  const [width, height] = [scaled(bitmap.width), scaled(bitmap.height)];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser has no canvas for workers");
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}
