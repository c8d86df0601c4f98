import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { crc32, deflateSync, gzipSync } from "node:zlib";
import { openDataset } from "../../src/data/index.js";
import { PenniError } from "../../src/graph/errors.js";

const root = mkdtempSync(path.join(tmpdir(), "penni-hostile-data-"));
after(() => rmSync(root, { recursive: true, force: true }));

const RECORD = 3073;

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

/** A PNG of black grey pixels that claims a size, with as many rows of data as given. */
function png(width: number, height: number, rows: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(new Uint8Array(rows * (width + 1)))),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

/** A folder with a class of six sound images and one more file. */
function imageFolder(name: string, file: string, write: (file: string) => void): string {
  const folder = path.join(root, name);
  mkdirSync(path.join(folder, "a"), { recursive: true });
  for (let index = 0; index < 6; index += 1)
    writeFileSync(path.join(folder, "a", `${index}.png`), png(8, 8, 8));
  write(path.join(folder, "a", file));
  return folder;
}

async function readAll(spec: string): Promise<number> {
  const size = spec.startsWith("cifar10") ? 32 : 8;
  const dataset = await openDataset(spec, { imageSize: { width: size, height: size } });
  return (await dataset.train()).count + (await dataset.test()).count;
}

async function assertRefused(spec: string, message: RegExp): Promise<void> {
  await assert.rejects(readAll(spec), (error: unknown) => {
    assert.ok(error instanceof PenniError, `${error}`);
    assert.equal(error.code, "bad-data");
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\p{Cc}/u);
    return true;
  });
}

const brokenImages: Readonly<Record<string, (file: string) => void>> = {
  "a PNG that claims 60000x60000 pixels": (file) => writeFileSync(file, png(60_000, 60_000, 1)),
  "a PNG with one row of a thousand": (file) => writeFileSync(file, png(1000, 1000, 1)),
  "a PNG of no size": (file) => writeFileSync(file, png(0, 0, 0)),
  "a text": (file) => writeFileSync(file, "no picture, but a page that says so".repeat(3)),
  "random bytes": (file) =>
    writeFileSync(
      file,
      Uint8Array.from({ length: 999 }, (_, at) => (at * 7919) % 251),
    ),
};

for (const [name, write] of Object.entries(brokenImages)) {
  test(`${name} is refused by its path`, async () => {
    const folder = imageFolder(name, "z.png", write);
    await assertRefused(`folder:${folder}`, /z\.png: cannot read the image/);
  });
}

test("empty files and formats that are not read are left out and named", async () => {
  const svg = "<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>".repeat(3);
  for (const [name, content] of Object.entries({ "an empty file": "", "an SVG": svg })) {
    const folder = imageFolder(name, "z.png", (file) => writeFileSync(file, content));
    const { notices = [] } = await openDataset(`folder:${folder}`, { imageSize: { width: 8, height: 8 } });
    assert.match(notices.join("\n"), /z\.png/);
    assert.equal(await readAll(`folder:${folder}`), 6);
  }
});

test("folders and pipes that are called like images are no images", async () => {
  const withFolder = imageFolder("folder-image", "z.png", (file) => mkdirSync(file));
  assert.equal(await readAll(`folder:${withFolder}`), 6);
  const withPipe = imageFolder("pipe-image", "z.png", (file) => execFileSync("mkfifo", [file]));
  assert.equal(await readAll(`folder:${withPipe}`), 6);
});

test("empty folders are refused", async () => {
  const empty = path.join(root, "empty");
  mkdirSync(empty);
  await assertRefused(`folder:${empty}`, /empty/);
  await assertRefused(`cifar10:${empty}`, /not a CIFAR-10 folder/);
});

/** A folder of CIFAR-10 with one record in each batch and something else as the test batch. */
function cifarFolder(name: string, file: string, write: (file: string) => void): string {
  const folder = path.join(root, name);
  mkdirSync(folder);
  for (let batch = 1; batch <= 5; batch += 1)
    writeFileSync(path.join(folder, `data_batch_${batch}.bin`), new Uint8Array(RECORD));
  write(path.join(folder, file));
  return folder;
}

const brokenBatches: Readonly<Record<string, readonly [string, (file: string) => void, RegExp]>> = {
  "a truncated batch": [
    "test_batch.bin",
    (file) => writeFileSync(file, new Uint8Array(2 * RECORD - 1)),
    /test_batch\.bin: wrong length/,
  ],
  "an empty batch": ["test_batch.bin", (file) => writeFileSync(file, ""), /test_batch\.bin: wrong length/],
  "a batch with an impossible label": [
    "test_batch.bin",
    (file) => writeFileSync(file, new Uint8Array(RECORD).fill(11)),
    /record 0 has a wrong label/,
  ],
  "a batch of 3 GB": [
    "test_batch.bin",
    (file) => {
      writeFileSync(file, "");
      truncateSync(file, 3e9);
    },
    /test_batch\.bin: the file is too large/,
  ],
  "a folder in place of a batch": [
    "test_batch.bin",
    (file) => mkdirSync(file),
    /batch of CIFAR-10 is missing/,
  ],
  "a gzip that unpacks without end": [
    "test_batch.bin.gz",
    // Members of a gzip file follow each other: 256 kB that unpack to 256 MB.
    (file) => {
      const member = gzipSync(new Uint8Array(2 ** 24));
      writeFileSync(file, Buffer.concat(Array.from({ length: 16 }, () => member)));
    },
    /test_batch\.bin\.gz: cannot unpack the file/,
  ],
  "a truncated gzip": [
    "test_batch.bin.gz",
    (file) => writeFileSync(file, gzipSync(new Uint8Array(RECORD)).subarray(0, 20)),
    /test_batch\.bin\.gz: cannot unpack the file/,
  ],
};

for (const [name, [file, write, message]] of Object.entries(brokenBatches)) {
  test(`${name} is refused by its path`, async () => {
    await assertRefused(`cifar10:${cifarFolder(name, file, write)}`, message);
  });
}
