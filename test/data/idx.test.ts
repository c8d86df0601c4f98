import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { imagePixels, labelsOf, openDataset } from "../../src/data/index.js";

const root = mkdtempSync(path.join(os.tmpdir(), "penni-idx-"));
after(() => rmSync(root, { recursive: true }));

/** The format, byte by byte: two zeros, the type, the rank, the dimensions (big-endian), the data. */
function idx(dims: readonly number[], data: readonly number[], type = 8): Buffer {
  const header = Buffer.alloc(4 + 4 * dims.length);
  header.writeUInt8(type, 2);
  header.writeUInt8(dims.length, 3);
  dims.forEach((dim, axis) => {
    header.writeUInt32BE(dim, 4 + 4 * axis);
  });
  return Buffer.concat([header, Buffer.from(data)]);
}

const counting = (length: number): number[] => Array.from({ length }, (_, index) => index);
const good: Readonly<Record<string, Buffer>> = {
  "train-images-idx3-ubyte": idx([2, 2, 3], counting(12)),
  "train-labels-idx1-ubyte": idx([2], [4, 0]),
  "t10k-images-idx3-ubyte": idx([1, 2, 3], counting(6)),
  "t10k-labels-idx1-ubyte": idx([1], [3]),
};

let count = 0;
function folderWith(files: Readonly<Record<string, Buffer>>): string {
  count += 1;
  const folder = path.join(root, `${count}`);
  mkdirSync(folder);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(folder, name), bytes);
  return `idx:${folder}`;
}

test("reads plain and gzipped files, with either spelling of the names", async () => {
  const zipped = Object.fromEntries(
    Object.entries(good).map(([name, bytes]) => [`${name.replace("-idx", ".idx")}.gz`, gzipSync(bytes)]),
  );
  for (const files of [good, zipped]) {
    const dataset = await openDataset(folderWith(files));
    assert.deepEqual([dataset.channels, dataset.height, dataset.width], [1, 2, 3]);
    assert.deepEqual(dataset.classNames, ["0", "1", "2", "3", "4"]);
    const train = await dataset.train();
    assert.deepEqual([...labelsOf(train)], [4, 0]);
    assert.deepEqual([...imagePixels(train, 1)], [6, 7, 8, 9, 10, 11]);
    assert.deepEqual([...labelsOf(await dataset.test())], [3]);
  }
});

test("images of several channels have a fourth dimension", async () => {
  const files = { ...good, "train-images-idx3-ubyte": idx([2, 3, 1, 2], counting(12)) };
  const dataset = await openDataset(folderWith(files));
  assert.deepEqual([dataset.channels, dataset.height, dataset.width], [3, 1, 2]);
});

test("what is wrong is named with file, expected and found", async () => {
  const images = "train-images-idx3-ubyte";
  const labels = "train-labels-idx1-ubyte";
  const damaged: readonly [string, Buffer | undefined, RegExp][] = [
    [images, Buffer.alloc(0), /train-images.*not an array/],
    [images, idx([2, 2, 3], counting(11)), /expected 12 bytes of data \[2, 2, 3\], found 11/],
    [images, idx([2, 2, 3], counting(12), 13), /elements of type 8 \(uint8\), found 13/],
    [images, idx([2 ** 32 - 1, 2 ** 32 - 1, 2], []), /expected .* bytes of data/],
    [images, idx([0, 2, 3], []), /no images.*found \[0, 2, 3\]/],
    [images, idx([12], counting(12)), /no images.*found \[12\]/],
    [images, Buffer.from([0, 0, 8, 200]), /804 bytes of header, found 4/],
    [labels, idx([3], [1, 2, 3]), /train-labels.*do not fit.*expected \[2\], found \[3\]/],
    [labels, undefined, /no file of labels for "train"/],
  ];
  for (const [name, bytes, message] of damaged) {
    const files = Object.fromEntries(
      Object.entries({ ...good, [name]: bytes }).filter(([, value]) => value !== undefined),
    ) as Record<string, Buffer>;
    await assert.rejects(openDataset(folderWith(files)), { code: "bad-data", message });
  }
  await assert.rejects(openDataset(`idx:${root}/absent`), { code: "bad-data", message: /no such folder/ });
});

test("test images unlike the training images are named when they are read, before anything is trained", async () => {
  const [images, labels] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
  const unlike: readonly [string, Buffer, RegExp][] = [
    [images, idx([1, 3, 2], counting(6)), /t10k-images.*not like.*expected \[1, 2, 3\], found \[1, 3, 2\]/],
    [images, idx([1, 3, 2, 3], counting(18)), /t10k-images.*expected \[1, 2, 3\], found \[3, 2, 3\]/],
    [labels, idx([1], [5]), /t10k-labels.*no training image.*expected 0 to 4, found 5/],
  ];
  for (const [name, bytes, message] of unlike) {
    const dataset = await openDataset(folderWith({ ...good, [name]: bytes }));
    await assert.rejects(dataset.test(), { code: "bad-data", message });
  }
});

test("a model of another size is refused with both sizes", async () => {
  const imageSize = { width: 32, height: 32 };
  await assert.rejects(openDataset(folderWith(good), { imageSize }), {
    code: "bad-data",
    message: /do not fit the model.*expected 32x32.*found 3x2/,
  });
});

const fashion = "/usr/share/datasets/fashion-mnist";

test("Fashion-MNIST as Debian packages it", {
  skip: existsSync(fashion) ? false : `Debian's package dataset-fashion-mnist is not installed (${fashion})`,
}, async () => {
  const dataset = await openDataset(`idx:${fashion}`);
  const [train, held] = [await dataset.train(), await dataset.test()];
  assert.deepEqual([train.count, held.count, train.height, train.width], [60_000, 10_000, 28, 28]);
  const perClass = Array.from({ length: 10 }, () => 0);
  for (const label of labelsOf(train)) perClass[label] = (perClass[label] ?? 0) + 1;
  assert.deepEqual(
    perClass,
    perClass.map(() => 6000),
  );
});
