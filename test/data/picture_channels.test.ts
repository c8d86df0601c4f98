import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import sharp from "sharp";
import { allocateImages, imagePixels } from "../../src/data/dataset.js";
import { readPicture } from "../../src/data/decode_picture.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "penni-channels-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const [WIDTH, HEIGHT] = [6, 4];
const PIXELS = WIDTH * HEIGHT;

/** Levels 0 to 255 of so many channels, pixel by pixel. */
function levelsOf(channels: number): number[] {
  return Array.from({ length: channels * PIXELS }, (_, index) => (index * 73 + 31) % 256);
}

interface Tiff {
  readonly photometric: number;
  readonly channels: number;
  readonly extra?: readonly number[];
  readonly bits?: 8 | 16;
  readonly isBig?: boolean;
  readonly isLittle?: boolean;
}

const SHORT = 3;
const LONG = 4;

/** An uncompressed TIFF file of one strip, as TIFF 6.0 and BigTIFF describe it. */
function tiff(levels: readonly number[], given: Tiff): Buffer {
  const { photometric, channels, extra = [], bits = 8, isBig = false, isLittle = true } = given;
  const numbers = (bytes: 2 | 4 | 8, values: readonly number[]): Buffer => {
    const view = new DataView(new ArrayBuffer(bytes * values.length));
    values.forEach((value, index) => {
      if (bytes === 2) view.setUint16(2 * index, value, isLittle);
      else if (bytes === 4) view.setUint32(4 * index, value, isLittle);
      else view.setBigUint64(8 * index, BigInt(value), isLittle);
    });
    return Buffer.from(view.buffer);
  };
  const wide = isBig ? 8 : 4;
  const pixels =
    bits === 8
      ? Buffer.from(levels)
      : numbers(
          2,
          levels.map((level) => 257 * level),
        );
  const header = isBig ? 16 : 8;
  const entries: readonly (readonly [tag: number, type: number, values: readonly number[]])[] = [
    [256, SHORT, [WIDTH]],
    [257, SHORT, [HEIGHT]],
    [258, SHORT, new Array<number>(channels).fill(bits)],
    [259, SHORT, [1]],
    [262, SHORT, [photometric]],
    [273, LONG, [header]],
    [277, SHORT, [channels]],
    [278, SHORT, [HEIGHT]],
    [279, LONG, [pixels.length]],
    ...(extra.length === 0 ? [] : [[338, SHORT, extra] as const]),
  ];
  const start = header + pixels.length;
  const countBytes = isBig ? 8 : 2;
  const entryBytes = isBig ? 20 : 12;
  let outside = start + countBytes + entryBytes * entries.length + wide;
  const more: Buffer[] = [];
  const directory = entries.map(([tag, type, values]) => {
    const value = numbers(type === SHORT ? 2 : 4, values);
    const fits = value.length <= wide;
    const field = fits ? Buffer.concat([value, Buffer.alloc(wide - value.length)]) : numbers(wide, [outside]);
    if (!fits) {
      more.push(value);
      outside += value.length;
    }
    return Buffer.concat([numbers(2, [tag, type]), numbers(wide, [values.length]), field]);
  });
  return Buffer.concat([
    Buffer.from(isLittle ? "II" : "MM"),
    ...(isBig ? [numbers(2, [43, 8, 0]), numbers(8, [start])] : [numbers(2, [42]), numbers(4, [start])]),
    pixels,
    numbers(isBig ? 8 : 2, [entries.length]),
    ...directory,
    numbers(wide, [0]),
    ...more,
  ]);
}

/** A 16-bit PNG with a colour profile. */
function png(levels: readonly number[], colourType: number, profile: Uint8Array): Buffer {
  const chunk = (name: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const channels = levels.length / PIXELS;
  const row = (y: number): number[] => [
    0,
    ...levels.slice(y * WIDTH * channels, (y + 1) * WIDTH * channels).flatMap((level) => [level, level]),
  ];
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", Uint8Array.of(0, 0, 0, WIDTH, 0, 0, 0, HEIGHT, 16, colourType, 0, 0, 0)),
    chunk("iCCP", Buffer.concat([Buffer.from("p\0\0"), deflateSync(profile)])),
    chunk("IDAT", deflateSync(Uint8Array.from(Array.from({ length: HEIGHT }, (_, y) => row(y)).flat()))),
    chunk("IEND", new Uint8Array()),
  ]);
}

/** Of grey whose numbers are amounts of light: ICC.1, with a white point and a curve of exponent 1. */
function linearGrey(): Buffer {
  const fixed = (...values: readonly number[]): Buffer => {
    const written = Buffer.alloc(4 * values.length);
    values.forEach((value, index) => {
      written.writeInt32BE(Math.round(65536 * value), 4 * index);
    });
    return written;
  };
  const white = [0.9642, 1, 0.8249];
  const description = Buffer.concat([Buffer.from("desc\0\0\0\0\0\0\0\x02g\0"), Buffer.alloc(80)]);
  const tags = [
    ["desc", description.subarray(0, 92)],
    ["wtpt", Buffer.concat([Buffer.from("XYZ \0\0\0\0"), fixed(...white)])],
    ["kTRC", Buffer.from([...Buffer.from("curv\0\0\0\0"), 0, 0, 0, 1, 1, 0, 0, 0])],
  ] as const;
  const table = Buffer.alloc(4 + 12 * tags.length);
  table.writeUInt32BE(tags.length);
  let place = 128 + table.length;
  for (const [index, [name, data]] of tags.entries()) {
    table.write(name, 4 + 12 * index, "latin1");
    table.writeUInt32BE(place, 8 + 12 * index);
    table.writeUInt32BE(data.length, 12 + 12 * index);
    place += data.length;
  }
  const header = Buffer.alloc(128);
  header.writeUInt32BE(place);
  header.write("test", 4);
  header.writeUInt32BE(0x02400000, 8);
  header.write("mntrGRAYXYZ ", 12);
  header.write("acsp", 36);
  fixed(...white).copy(header, 68);
  return Buffer.concat([header, table, ...tags.map(([, data]) => data)]);
}

/** Red, green and blue of each pixel, as data sets read them. */
async function read(name: string, bytes: Uint8Array): Promise<readonly number[]> {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  const images = allocateImages({ count: 1, channels: 3, height: HEIGHT, width: WIDTH });
  await readPicture({ files: [file], images, fit: {} }, 0);
  const planes = imagePixels(images, 0);
  return Array.from(
    { length: 3 * PIXELS },
    (_, index) => planes[(index % 3) * PIXELS + Math.floor(index / 3)] ?? -1,
  );
}

function assertNear(found: readonly number[], expected: readonly number[], most: number, what: string): void {
  assert.equal(found.length, expected.length);
  found.forEach((level, index) => {
    const wanted = expected[index] ?? Number.NaN;
    assert.ok(Math.abs(level - wanted) <= most, `${what} [${index}]: ${level} instead of ${wanted}`);
  });
}

const forms = [
  { isBig: false, isLittle: true },
  { isBig: false, isLittle: false },
  { isBig: true, isLittle: true },
] as const;

/** What a fourth channel is by TIFF's ExtraSamples. */
const meanings = [
  { extra: [0], isAlpha: false },
  { extra: [2], isAlpha: true },
] as const;

test("a channel of a TIFF that is not said to be alpha darkens nothing", async () => {
  for (const form of forms) {
    for (const [photometric, colours] of [
      [2, 3],
      [1, 1],
    ] as const) {
      for (const { extra, isAlpha } of meanings) {
        const levels = levelsOf(colours + 1);
        const channels = colours + 1;
        const expected = Array.from({ length: 3 * PIXELS }, (_, index) => {
          const pixel = levels.slice(
            Math.floor(index / 3) * channels,
            (Math.floor(index / 3) + 1) * channels,
          );
          const level = pixel[colours === 1 ? 0 : index % 3] ?? -1;
          const alpha = isAlpha ? (pixel[colours] ?? -1) : 255;
          return Math.floor((level * alpha + 127) / 255);
        });
        const what = `${photometric} with ${extra} ${JSON.stringify(form)}`;
        const bytes = tiff(levels, { photometric, channels, extra, ...form });
        assertNear(await read("extra.tif", bytes), expected, 0, what);
      }
    }
  }
});

test("more channels than that are refused: nobody knows which of them are colours", async () => {
  for (const [photometric, channels, extra] of [
    [2, 5, [0, 0]],
    [2, 5, [2, 0]],
    [1, 3, [0, 0]],
    [1, 4, [0, 0, 0]],
    [5, 5, [2]],
    [5, 5, [0]],
  ] as const) {
    const bytes = tiff(levelsOf(channels), { photometric, channels, extra });
    await assert.rejects(read("many.tif", bytes), {
      name: "PenniError",
      code: "bad-data",
      message: new RegExp(`many\\.tif: cannot read the image: .*found ${channels} channels, of which`),
    });
  }
});

test("inks of 16 bits are those of 8 bits", async () => {
  const levels = levelsOf(4);
  const expected = Array.from({ length: 3 * PIXELS }, (_, index) => {
    const from = 4 * Math.floor(index / 3);
    const [ink = -1, black = -1] = [levels[from + (index % 3)], levels[from + 3]];
    return ((255 - ink) * (255 - black)) / 255;
  });
  for (const bits of [8, 16] as const) {
    const bytes = tiff(levels, { photometric: 5, channels: 4, bits });
    assertNear(await read("inks.tif", bytes), expected, 0.5, `${bits} bits`);
  }
});

test("colour profiles hold for 16 bits as for 8", async () => {
  // A picture in sRGB's own colours stays what it is by way of another space.
  const colour = { r: 200, g: 90, b: 40 };
  const image = () => sharp({ create: { width: WIDTH, height: HEIGHT, channels: 3, background: colour } });
  const wide = (await image().withIccProfile("p3").png().toBuffer()) as Buffer;
  const { icc } = await sharp(wide).metadata();
  assert.ok(icc !== undefined);
  const inside = await sharp(wide, { ignoreIcc: true }).raw().toBuffer();
  assert.notEqual(inside[0], colour.r);
  const found = await read("wide.png", png([...inside], 2, icc));
  assertNear(found, new Array<number[]>(PIXELS).fill([200, 90, 40]).flat(), 2, "P3");
  // sRGB's curve, for what is an amount of light in the file.
  const levels = levelsOf(1);
  const curved = levels.map((level) => {
    const light = level / 255;
    return 255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);
  });
  assertNear(
    await read("light.png", png(levels, 0, linearGrey())),
    curved.flatMap((level) => [level, level, level]),
    2,
    "linear grey",
  );
  const withAlpha = levels.flatMap((level) => [level, 255]);
  assertNear(
    await read("light.png", png(withAlpha, 4, linearGrey())),
    curved.flatMap((level) => [level, level, level]),
    2,
    "linear grey with alpha",
  );
});
