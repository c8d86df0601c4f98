import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import sharp, { type Sharp } from "sharp";
import { imagePixels, labelsOf, openDataset, type Split } from "../../src/data/index.js";

const root = mkdtempSync(path.join(os.tmpdir(), "penni-folder-"));
after(() => rmSync(root, { recursive: true }));
const imageSize = { width: 8, height: 8 };

type Colour = readonly [number, number, number];
const red: Colour = [250, 10, 20];
const blue: Colour = [20, 10, 250];

function plain([r, g, b]: Colour, width = 12, height = 12) {
  return sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
}

async function save(image: Sharp, file: string): Promise<void> {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  await image.toFile(path.join(root, file));
}

/** Mean level of every channel of an image. */
function meanColour(split: Split, index: number): number[] {
  const pixels = imagePixels(split, index);
  const plane = pixels.length / 3;
  return [0, 1, 2].map((channel) => {
    const values = pixels.subarray(channel * plane, (channel + 1) * plane);
    return values.reduce((sum, value) => sum + value, 0) / plane;
  });
}

/** Tolerance 4 levels: JPEG and WebP are lossy. */
function assertColour(split: Split, index: number, expected: readonly number[]): void {
  const found = meanColour(split, index);
  assert.ok(
    found.every((value, channel) => Math.abs(value - (expected[channel] ?? NaN)) <= 4),
    `${found} instead of ${expected}`,
  );
}

const openRoot = (folder: string) => openDataset(`folder:${path.join(root, folder)}`, { imageSize });
const openTree = (folder: string) => openDataset(`images:${path.join(root, folder)}`, { imageSize });

test("reads PNG, JPEG and WebP from train and test folders", async () => {
  await save(plain(blue), "both/train/blue/a.png");
  await save(plain(blue), "both/train/blue/b.JPG");
  await save(plain(red), "both/train/red/a.webp");
  await save(plain(red), "both/test/red/a.jpeg");
  await save(plain(blue), "both/test/blue/a.png");
  writeFileSync(path.join(root, "both/train/red/notes.txt"), "not an image");
  const dataset = await openRoot("both");
  assert.deepEqual(dataset.classNames, ["blue", "red"]);
  const train = await dataset.train();
  assert.deepEqual([...labelsOf(train)], [0, 0, 1]);
  [blue, blue, red].forEach((colour, index) => {
    assertColour(train, index, colour);
  });
  const testing = await dataset.test();
  assert.deepEqual([...labelsOf(testing)], [0, 1]);
  assertColour(testing, 1, red);
});

test("grey, transparent and 16-bit images become RGB", async () => {
  await save(plain([100, 100, 100]).toColourspace("b-w"), "kinds/train/x/1grey.png");
  const half = {
    create: { width: 8, height: 8, channels: 4 as const, background: { r: 200, g: 100, b: 0, alpha: 0.5 } },
  };
  await save(sharp(half), "kinds/train/x/2half.png");
  await save(plain(red).toColourspace("rgb16"), "kinds/train/x/3deep.png");
  await save(plain(red), "kinds/test/x/a.png");
  const train = await (await openRoot("kinds")).train();
  assertColour(train, 0, [100, 100, 100]);
  assertColour(train, 1, [100, 50, 0]);
  assertColour(train, 2, red);
});

/** 8 x 8 pixels of 200 cyan, 30 magenta, 100 yellow and 60 black, as Pillow writes them: JPEG (Adobe's, inverted) and TIFF. */
const inks = {
  "1.jpg":
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAoI/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAA4EQwBNAFkASwAAPwA25hC2CGH/2Q==",
  "2.tif":
    "SUkqAFYAAACAMgPGQeQKCQaCwOEweFQiHQ2IQyJQuKQ+JxaKxGMxeNRiPR2QRyRRuSR+RyaSyGUyeVSiXS2YSyZSuaS+ZzaazGczedTifT2gTyZwEAAKAAABAwABAAAADAAAAAEBAwABAAAADAAAAAIBAwAEAAAA1AAAAAMBAwABAAAABQAAAAYBAwABAAAABQAAABEBBAABAAAACAAAABUBAwABAAAABAAAABYBAwABAAAADAAAABcBBAABAAAATQAAABwBAwABAAAAAQAAAAAAAAAIAAgACAAIAA==",
};

test("inks are what browsers and Pillow make of them: (255 - ink) (255 - black) / 255", async () => {
  await save(plain(red), "inks/test/x/a.png");
  mkdirSync(path.join(root, "inks/train/x"), { recursive: true });
  for (const [name, base64] of Object.entries(inks))
    writeFileSync(path.join(root, "inks/train/x", name), Buffer.from(base64, "base64"));
  const train = await (await openRoot("inks")).train();
  for (const index of [0, 1]) assertColour(train, index, [42, 172, 119]);
});

test("a picture of numbers whose white nobody knows is refused, and not black", async () => {
  await save(plain(red), "floats/test/x/a.png");
  await save(plain(red).toColourspace("scrgb").tiff({ compression: "none" }), "floats/train/x/b.tif");
  await assert.rejects(async () => (await openRoot("floats")).train(), /b\.tif: .*numbers of the kind float/);
});

test("an image that is not square is scaled to cover and cropped at the centre", async () => {
  // 24x8: red on the left and on the right third, blue in the middle, which is what must remain.
  const wide = plain(red, 24, 8).composite([
    { input: await plain(blue, 8, 8).png().toBuffer(), left: 8, top: 0 },
  ]);
  await save(wide, "wide/train/x/a.png");
  await save(plain(red), "wide/test/x/a.png");
  const train = await (await openRoot("wide")).train();
  assertColour(train, 0, blue);
});

test("without test images a fifth of every class is held out, always the same", async () => {
  for (const [name, colour] of Object.entries({ blue, red })) {
    for (let number = 0; number < 10; number += 1)
      await save(plain(colour, 4, 4), `one/${name}/${number}.png`);
  }
  const dataset = await openRoot("one");
  const [train, testing] = [await dataset.train(), await dataset.test()];
  assert.deepEqual([train.count, testing.count], [16, 4]);
  assert.deepEqual([...labelsOf(testing)], [0, 0, 1, 1]);
  assertColour(testing, 3, red);
  assert.deepEqual(await (await openRoot("one")).train(), train);
});

test("images without class folders have no labels; images:DIR takes all at any depth", async () => {
  for (let number = 0; number < 10; number += 1) await save(plain(red, 4, 4), `flat/${number}.png`);
  const flat = await openRoot("flat");
  assert.equal(flat.classNames, undefined);
  const [train, testing] = [await flat.train(), await flat.test()];
  assert.deepEqual([train.count, testing.count], [8, 2]);
  assert.deepEqual([train.labels, testing.labels], [undefined, undefined]);
  assertColour(testing, 1, red);

  await save(plain(red), "tree/2023/a/1.png");
  await save(plain(blue), "tree/2024/1.png");
  await save(plain(blue), "tree/2024/b/1.png");
  // A link in a circle, as file systems allow.
  symlinkSync(path.join(root, "tree"), path.join(root, "tree/2024/b/up"));
  const all = await openTree("tree");
  assert.equal((await all.train()).count + (await all.test()).count, 3);
  assert.equal((await all.train()).labels, undefined);
  // None of its sub-folders holds an image itself: no classes.
  await save(plain(red), "deep/a/b/1.png");
  assert.equal((await openRoot("deep")).classNames, undefined);

  await save(plain(red), "parted/train/1.png");
  await save(plain(blue), "parted/test/1.png");
  const parted = await openRoot("parted");
  assertColour(await parted.train(), 0, red);
  assertColour(await parted.test(), 0, blue);
  assert.throws(() => labelsOf(testing), { code: "bad-data", message: /no labels/ });
});

test("what cannot be used is an error that names it", async () => {
  await save(plain(red), "broken/train/x/good.png");
  await save(plain(red), "broken/test/x/good.png");
  writeFileSync(path.join(root, "broken/train/x/zbad.png"), "no image");
  await assert.rejects((await openRoot("broken")).train(), {
    name: "PenniError",
    code: "bad-data",
    message: /zbad\.png: cannot read the image: expected a PNG/,
  });
  await save(plain(red), "empty/a/1.png");
  mkdirSync(path.join(root, "empty/b"));
  await assert.rejects(openRoot("empty"), {
    code: "bad-data",
    message: /empty.b: a class folder without images.*found nothing/,
  });
  await save(plain(red), "classes/train/a/1.png");
  await save(plain(red), "classes/val/c/1.png");
  await assert.rejects(openRoot("classes"), {
    code: "bad-data",
    message: /classes.val.*expected a, found c/,
  });
  await save(plain(red), "mixed/a/1.png");
  await save(plain(red), "mixed/b.png");
  await assert.rejects(openRoot("mixed"), {
    code: "bad-data",
    message: /mixed: images beside class folders: .*found b\.png beside a\..*images:DIR/,
  });
  mkdirSync(path.join(root, "nothing/deep"), { recursive: true });
  await assert.rejects(openRoot("nothing"), { code: "bad-data", message: /nothing: no images.*found deep/ });
  await assert.rejects(openTree("nothing"), { code: "bad-data", message: /nothing: no images/ });
  await assert.rejects(openRoot("absent"), { code: "bad-data", message: /absent: no such folder/ });
  await assert.rejects(openDataset(`folder:${root}`), { code: "bad-option", message: /size/ });
});

test("a class of which nothing is measured is named", async () => {
  for (const name of ["many/a.png", "many/b.png", "many/c.png", "single/a.png"])
    await save(plain(red), `untested/${name}`);
  const dataset = await openRoot("untested");
  assert.deepEqual([...labelsOf(await dataset.train())], [0, 0, 1]);
  assert.deepEqual([...labelsOf(await dataset.test())], [0]);
  assert.deepEqual(dataset.notices, [
    "1 of 2 classes has no test image (single): a class of one image is trained on alone",
  ]);
  assert.deepEqual(
    (await openRoot("both")).notices?.filter((line) => line.includes("no test image")),
    [],
  );
});
