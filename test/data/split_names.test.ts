import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import sharp from "sharp";
import { type Dataset, openDataset } from "../../src/data/index.js";

const root = mkdtempSync(path.join(tmpdir(), "penni-split-names-"));
after(() => rmSync(root, { recursive: true, force: true }));

const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 9, g: 9, b: 9 } } })
  .png()
  .toBuffer();

let made = 0;

/** A folder with these files, each a picture. */
function tree(...files: readonly string[]): string {
  made += 1;
  const folder = path.join(root, `tree${made}`);
  for (const file of files) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), png);
  }
  return folder;
}

const open = (folder: string, kind = "folder"): Promise<Dataset> =>
  openDataset(`${kind}:${folder}`, { imageSize: { width: 8, height: 8 } });

async function counts(dataset: Dataset): Promise<readonly [number, number]> {
  return [(await dataset.train()).count, (await dataset.test()).count];
}

for (const [train, test_] of [
  ["Train", "Test"],
  ["TRAIN", "VALIDATION"],
  ["training", "valid"],
  ["Training", "Val"],
  ["train", "testing"],
] as const) {
  test(`${train} and ${test_} are the training and the test images`, async () => {
    const folder = tree(
      `${train}/cat/1.png`,
      `${train}/dog/1.png`,
      `${test_}/cat/1.png`,
      `${test_}/dog/1.png`,
    );
    const dataset = await open(folder);
    assert.deepEqual(dataset.classNames, ["cat", "dog"]);
    assert.deepEqual(await counts(dataset), [2, 2]);
    assert.deepEqual(dataset.notices, []);
  });
}

test("a class of several that is called train is a class", async () => {
  const numbered = (name: string): readonly string[] => [1, 2, 3, 4, 5].map((each) => `${name}/${each}.png`);
  const classes = await open(tree(...["bicycle", "Train", "truck"].flatMap(numbered)));
  assert.deepEqual(classes.classNames, ["Train", "bicycle", "truck"]);
  assert.deepEqual(await counts(classes), [12, 3]);
  // A folder of masks beside it is none, and images:DIR knows no classes.
  const images = await open(tree(...["masks", "train"].flatMap(numbered)));
  assert.deepEqual(images.classNames, undefined);
  assert.match(`${images.notices}`, /beside.*masks/);
  const unlabelled = await open(tree(...["bicycle", "train", "truck"].flatMap(numbered)), "images");
  assert.deepEqual(await counts(unlabelled), [4, 1]);
});

test("what systems keep for themselves is no class and no picture", async () => {
  const folder = tree(
    ...["cat", "dog"].flatMap((name) => [1, 2, 3, 4, 5].map((each) => `${name}/${each}.png`)),
    "__MACOSX/cat/1.png",
    "__MACOSX/1.png",
    "@eaDir/1.png",
    "$RECYCLE.BIN/1.png",
    "cat/Thumbs.db",
    "dog/desktop.ini",
    "cat/.DS_Store",
  );
  const dataset = await open(folder);
  assert.deepEqual(dataset.classNames, ["cat", "dog"]);
  assert.deepEqual(await counts(dataset), [8, 2]);
  const notices = (dataset.notices ?? []).join("\n");
  assert.match(
    notices,
    /skipped 5 entries that a system keeps for itself: \$RECYCLE\.BIN, @eaDir, __MACOSX and 2 more/,
  );
  assert.match(notices, /skipped 1 hidden entry: cat\/\.DS_Store/);
  assert.deepEqual(await counts(await open(folder, "images")), [8, 2]);
});

test("pictures of other formats than their names say are named with what they are", async () => {
  const folder = tree(...["a.jpg", "b.webp", "c.gif", "d.tif", "e.png", "f.png"].map((name) => `x/${name}`));
  const { notices } = await open(folder);
  assert.deepEqual(notices, [
    "4 of 6 pictures have another format than their names say, and are read as what they are: " +
      "x/a.jpg is PNG, x/b.webp is PNG, x/c.gif is PNG and 1 more",
  ]);
});
