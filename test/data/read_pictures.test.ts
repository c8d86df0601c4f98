import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import sharp from "sharp";
import { allocateImages, imagePixels } from "../../src/data/dataset.js";
import { type PictureRequest, readPicture } from "../../src/data/decode_picture.js";
import type { FilePath } from "../../src/data/paths.js";
import { Random } from "../../src/data/random.js";
import { readPictures } from "../../src/data/read_pictures.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-read-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const PICTURES = 300;
const shape = { channels: 3, height: 12, width: 16 } as const;

/** Of noise, each of another size; the path of every second one as bytes, as where a name is not UTF-8. */
async function written(name: string): Promise<FilePath[]> {
  mkdirSync(path.join(folder, name));
  const random = new Random(4);
  const files: FilePath[] = [];
  for (let index = 0; index < PICTURES; index++) {
    const [width, height] = [5 + random.below(60), 5 + random.below(60)];
    const noise = Uint8Array.from({ length: 3 * width * height }, () => random.below(256));
    const file = path.join(folder, name, `${String(index).padStart(3, "0")}.png`);
    await sharp(noise, { raw: { width, height, channels: 3 } })
      .png({ compressionLevel: 0 })
      .toFile(file);
    files.push(index % 2 === 0 ? file : Buffer.from(file));
  }
  return files;
}

test("many pictures, read on several threads, are in their places and what one thread reads", async () => {
  const files = await written("many");
  const request = (): PictureRequest => ({
    files,
    images: allocateImages({ count: PICTURES, ...shape }),
    fit: { resize: "letterbox", pad: [1, 2, 3] },
  });
  const [together, alone] = [request(), request()];
  await readPictures(together);
  for (let index = 0; index < PICTURES; index++) await readPicture(alone, index);
  for (let index = 0; index < PICTURES; index++)
    assert.deepEqual(imagePixels(together.images, index), imagePixels(alone.images, index), `${index}`);
});

/** Where the corners of a picture as it is stored are in it as it is to be seen, by EXIF's orientation (from 1). */
const CORNERS = ["0123", "1032", "3210", "2301", "0213", "2031", "3120", "1302"] as const;

test("pictures of every format are upright as their EXIF data say", async () => {
  const colours = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [255, 255, 255],
  ] as const;
  // A colour for each quarter: top left, top right, bottom left, bottom right.
  const stored = Uint8Array.from({ length: 3 * 32 * 16 }, (_, place) => {
    const [x, y] = [Math.floor(place / 3) % 32, Math.floor(place / 96)];
    const colour = colours[(x < 16 ? 0 : 1) + (y < 8 ? 0 : 2)];
    return colour?.[place % 3] ?? 0;
  });
  mkdirSync(path.join(folder, "turned"));
  const files: string[] = [];
  for (const format of ["jpeg", "png", "webp", "tiff", "avif"] as const) {
    for (let orientation = 1; orientation <= CORNERS.length; orientation++) {
      const file = path.join(folder, "turned", `${orientation}.${format}`);
      const image = sharp(stored, { raw: { width: 32, height: 16, channels: 3 } });
      await image.withMetadata({ orientation }).toFormat(format, { quality: 100 }).toFile(file);
      files.push(file);
    }
  }
  const images = allocateImages({ count: files.length, channels: 3, height: 16, width: 16 });
  await readPictures({ files, images, fit: { resize: "stretch" } });
  for (const [index, file] of files.entries()) {
    const levels = imagePixels(images, index);
    const seen = [17, 28, 16 * 14 + 1, 16 * 14 + 12].map((pixel) => {
      const found = [0, 1, 2].map((channel) => ((levels[256 * channel + pixel] ?? 0) > 127 ? 255 : 0));
      return colours.findIndex((colour) => `${colour}` === `${found}`);
    });
    assert.equal(seen.join(""), CORNERS[index % CORNERS.length], file);
  }
});

test("a damaged one among many is one error that names it", async () => {
  const files = await written("damaged");
  const file = `${files[250]}`;
  writeFileSync(file, "\x89PNG\r\n\x1a\nno picture");
  const images = allocateImages({ count: PICTURES, ...shape });
  await assert.rejects(readPictures({ files, images, fit: {} }), {
    name: "PenniError",
    code: "bad-data",
    message: /250\.png: cannot read the image: expected a/,
  });
});

test("several damaged ones are named together, in the order of the files, by one thread and by several", async () => {
  const files = await written("several");
  const damaged = [3, 7, 150, 250].map((index) => `${files[index]}`);
  for (const [index, file] of damaged.entries())
    writeFileSync(file, index === 0 ? "no picture at all" : "\x89PNG\r\n\x1a\nno picture");
  const named = (paths: readonly string[]): RegExp =>
    new RegExp(
      `003\\.png: cannot read the image: .*, and ${paths.length} more .*read: ${paths.join(", ")}\\.$`,
    );
  const images = allocateImages({ count: PICTURES, ...shape });
  const [, ...others] = damaged;
  await assert.rejects(readPictures({ files, images, fit: {} }), {
    code: "bad-data",
    message: named(others),
  });
  const few = { files: files.slice(0, 20), images: allocateImages({ count: 20, ...shape }), fit: {} };
  await assert.rejects(readPictures(few), { code: "bad-data", message: named(others.slice(0, 1)) });
});

test("a folder of which nothing can be read is given up early", async () => {
  mkdirSync(path.join(folder, "none"));
  const files = Array.from({ length: 200 }, (_, index) => path.join(folder, "none", `${index}.png`));
  for (const file of files) writeFileSync(file, "no picture");
  const images = allocateImages({ count: files.length, ...shape });
  await assert.rejects(readPictures({ files, images, fit: {} }), {
    code: "bad-data",
    message:
      /found something else\. Replace or remove the file, and at least \d+ more that cannot be read: .* and \d+ more\.$/,
  });
});
