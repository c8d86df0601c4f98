/**
 * penni/pictures: files of pictures to pixels in pages and workers, as data sets are read: upright as their EXIF data say, in
 * every browser. It imports nothing, so this one file can also be copied beside a model.
 *
 * @example
 * const [best] = model.classify(await readPicture(input.files[0]));
 */

import type { ImageLike } from "./types.js";

/** A `File` or another `Blob`. */
export interface PictureFile {
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** An `ImageBitmap`, or anything else that can be drawn and has a size. */
export interface Drawable {
  readonly width: number;
  readonly height: number;
}

/** The parts of the host that not every set of types knows. */
interface Bitmap extends Drawable {
  close(): void;
}

interface Drawing {
  imageSmoothingEnabled: boolean;
  globalCompositeOperation: string;
  setTransform(a: number, b: number, c: number, d: number, e: number, f: number): void;
  drawImage(image: unknown, x: number, y: number): void;
  getImageData(x: number, y: number, width: number, height: number): ImageLike;
}

declare const OffscreenCanvas: new (
  width: number,
  height: number,
) => { getContext(kind: "2d", settings: { readonly willReadFrequently: boolean }): Drawing | null };

declare function createImageBitmap(file: unknown): Promise<Bitmap>;

/**
 * What is in a picture's file, upright, in sRGB.
 * @throws DOMException "InvalidStateError" if the browser cannot read it
 */
export async function readPicture(file: PictureFile): Promise<ImageLike> {
  const bitmap = await createImageBitmap(file);
  try {
    return pixelsOf(bitmap, await missedOrientation(new Uint8Array(await file.arrayBuffer())));
  } finally {
    bitmap.close();
  }
}

/** Of one canvas: some browsers have none for a whole photo. */
const MOST_PIXELS = 2 ** 22;

/**
 * The pixels of something that can be drawn.
 * @param orientation how it is turned, 1 to 8 as EXIF counts; default: it is upright
 */
export function pixelsOf(drawn: Drawable, orientation = 1): ImageLike {
  const isOnSide = orientation > 4;
  const [width, height] = isOnSide ? [drawn.height, drawn.width] : [drawn.width, drawn.height];
  const rows = Math.min(height, Math.max(1, Math.floor(MOST_PIXELS / width)));
  const context = new OffscreenCanvas(width, rows).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser has no canvas to read pictures with");
  context.imageSmoothingEnabled = false;
  // Transparent parts stay so.
  context.globalCompositeOperation = "copy";
  const [xToX, xToY, yToX, yToY, left, top] = turned(orientation, drawn);
  const data = new Uint8ClampedArray(4 * width * height);
  for (let row = 0; row < height; row += rows) {
    context.setTransform(xToX, xToY, yToX, yToY, left, top - row);
    context.drawImage(drawn, 0, 0);
    const band = context.getImageData(0, 0, width, Math.min(rows, height - row));
    data.set(band.data, 4 * width * row);
  }
  return { width, height, data };
}

type Transform = readonly [number, number, number, number, number, number];

/** What puts a picture upright whose first pixel belongs at 0, 0. */
function turned(orientation: number, { width, height }: Drawable): Transform {
  switch (orientation) {
    case 2:
      return [-1, 0, 0, 1, width, 0];
    case 3:
      return [-1, 0, 0, -1, width, height];
    case 4:
      return [1, 0, 0, -1, 0, height];
    case 5:
      return [0, 1, 1, 0, 0, 0];
    case 6:
      return [0, 1, -1, 0, height, 0];
    case 7:
      return [0, -1, -1, 0, height, width];
    case 8:
      return [0, -1, 1, 0, 0, width];
    default:
      return [1, 0, 0, 1, 0, 0];
  }
}

/** Formats whose EXIF data not every browser heeds: Chromium 150 not those of WebP. */
type Format = "webp" | "png";

/** Two pixels side by side, turned by EXIF data: one above the other where a browser heeds them. */
const TURNED: Readonly<Record<Format, string>> = {
  webp: "UklGRlIAAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TBIAAAAvAQAAAA8w//M///MfeMiI/gdFWElGGgAAAElJKgAIAAAAAQASAQMAAQAAAAYAAAAAAAAA",
  png: "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABAQAAAADcWUInAAAAGmVYSWZJSSoACAAAAAEAEgEDAAEAAAAGAAAAAAAAALdIESkAAAAKSURBVHicY2AAAAACAAFIr6RxAAAAAElFTkSuQmCC",
};

/** The orientation that this browser leaves to be done; 1 where it did all, or where there is none. */
async function missedOrientation(bytes: Uint8Array): Promise<number> {
  const found = exifOf(bytes);
  if (found === undefined) return 1;
  const orientation = orientationOf(found.exif);
  return orientation === 1 || (await heeds(found.format)) ? 1 : orientation;
}

async function heeds(format: Format): Promise<boolean> {
  const bytes = Uint8Array.from(atob(TURNED[format]), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const { height } = bitmap;
  bitmap.close();
  return height === 2;
}

interface Exif {
  readonly format: Format;
  readonly exif: Uint8Array;
}

/** Both formats are parts with a name of four letters and a length. */
function exifOf(bytes: Uint8Array): Exif | undefined {
  const text = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (text(0) === "RIFF" && text(8) === "WEBP") return webpExif(bytes, text);
  return text(0) === "\x89PNG" ? pngExif(bytes, text) : undefined;
}

function webpExif(bytes: Uint8Array, text: (at: number) => string): Exif | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    if (text(at) === "EXIF") return { format: "webp", exif: bytes.subarray(at + 8, at + 8 + size) };
    at += 8 + size + (size % 2);
  }
  return undefined;
}

function pngExif(bytes: Uint8Array, text: (at: number) => string): Exif | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 8; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at);
    if (text(at + 4) === "eXIf") return { format: "png", exif: bytes.subarray(at + 8, at + 8 + size) };
    at += 12 + size;
  }
  return undefined;
}

/** 1 to 8: of the first directory of a TIFF structure, which some programs put behind "Exif". */
function orientationOf(exif: Uint8Array): number {
  const start = String.fromCharCode(...exif.subarray(0, 4)) === "Exif" ? 6 : 0;
  try {
    const view = new DataView(exif.buffer, exif.byteOffset + start, exif.length - start);
    const isLittle = view.getUint16(0) === 0x4949;
    const directory = view.getUint32(4, isLittle);
    for (let entry = 0; entry < view.getUint16(directory, isLittle); entry++) {
      const at = directory + 2 + 12 * entry;
      const value = view.getUint16(at + 8, isLittle);
      if (view.getUint16(at, isLittle) === 0x112) return value >= 1 && value <= 8 ? value : 1;
    }
  } catch {
    // Cut short: it says nothing.
  }
  return 1;
}
