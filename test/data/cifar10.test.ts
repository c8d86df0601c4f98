import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { after, test } from "node:test";
import { createGzip, gunzipSync, gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { imagePixels, labelsOf, openDataset } from "../../src/data/index.js";
import { sharedPath, withoutShared } from "../../support/shared.js";

const root = mkdtempSync(path.join(os.tmpdir(), "penni-cifar10-"));
after(() => rmSync(root, { recursive: true }));

const trainFiles = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`);

/** Two records: the label is `first` and `first` + 1, the pixels count up from it. */
function batchBytes(first: number): Buffer {
  const record = (label: number) =>
    Buffer.from([label, ...Array.from({ length: 3072 }, (_, index) => (index + label) & 255)]);
  return Buffer.concat([record(first), record(first + 1)]);
}

const officialFiles = new Map<string, Buffer>([
  ...trainFiles.map((name, index): [string, Buffer] => [name, batchBytes(index)]),
  ["test_batch.bin", batchBytes(8)],
]);

function folderWith(name: string, files: ReadonlyMap<string, Buffer>): string {
  const folder = path.join(root, name);
  mkdirSync(folder, { recursive: true });
  for (const [file, bytes] of files) writeFileSync(path.join(folder, file), bytes);
  return folder;
}

async function archiveIn(name: string): Promise<string> {
  const folder = folderWith(name, new Map());
  const archive = pack();
  for (const [file, bytes] of officialFiles) archive.entry({ name: `cifar-10-batches-bin/${file}` }, bytes);
  const names = Array.from({ length: 10 }, (_, index) => `class ${index}`).join("\n");
  archive.entry({ name: "cifar-10-batches-bin/batches.meta.txt" }, `${names}\n\n`);
  archive.finalize();
  await pipeline(archive, createGzip(), createWriteStream(path.join(folder, "cifar-10-binary.tar.gz")));
  return folder;
}

async function checkOfficial(location: string): Promise<readonly string[]> {
  const dataset = await openDataset(`cifar10:${location}`);
  const [train, testing] = [await dataset.train(), await dataset.test()];
  assert.deepEqual([...labelsOf(train)], [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
  assert.deepEqual([...labelsOf(testing)], [8, 9]);
  assert.deepEqual([...imagePixels(train, 9).subarray(0, 3)], [5, 6, 7]);
  assert.equal(imagePixels(testing, 1)[3071], (3071 + 9) & 255);
  assert.ok(dataset.classNames !== undefined);
  return dataset.classNames;
}

test("reads plain batches, gzipped batches, and the official folder inside a folder", async () => {
  const classNames = await checkOfficial(folderWith("plain", officialFiles));
  assert.equal(classNames[9], "truck");
  const zipped = [...officialFiles].map(([name, bytes]): [string, Buffer] => [`${name}.gz`, gzipSync(bytes)]);
  await checkOfficial(folderWith("zipped", new Map(zipped)));
  folderWith("outer/cifar-10-batches-bin", officialFiles);
  await checkOfficial(path.join(root, "outer"));
});

test("reads the official archive, named itself or by its folder", async () => {
  const folder = await archiveIn("archive");
  assert.equal((await checkOfficial(folder))[3], "class 3");
  await checkOfficial(path.join(folder, "cifar-10-binary.tar.gz"));
});

test("only the split that is asked for is read", async () => {
  const folder = folderWith("test-only", new Map([["test_batch.bin", batchBytes(0)]]));
  const dataset = await openDataset(`cifar10:${folder}`);
  assert.equal((await dataset.test()).count, 2);
  await assert.rejects(dataset.train(), {
    name: "PenniError",
    code: "bad-data",
    message: /test-only.data_batch_1\.bin.*missing.*expected data_batch_1\.bin or data_batch_1\.bin\.gz/,
  });
});

test("damaged data is an error that names the file, what was expected and what was found", async () => {
  const damaged: readonly [string, Buffer, RegExp][] = [
    [
      "test_batch.bin",
      Buffer.alloc(5000),
      /test_batch\.bin: wrong length: expected a multiple of 3073.*found 5000/,
    ],
    ["test_batch.bin", Buffer.alloc(0), /test_batch\.bin: wrong length.*found 0 bytes/],
    ["test_batch.bin", Buffer.alloc(3073, 10), /test_batch\.bin: record 0.*expected 0 to 9, found 10/],
    ["test_batch.bin.gz", Buffer.from("no gzip"), /test_batch\.bin\.gz: cannot unpack.*incorrect header/],
  ];
  for (const [index, [file, bytes, message]] of damaged.entries()) {
    const folder = folderWith(`damaged-${index}`, new Map([[file, bytes]]));
    const dataset = await openDataset(`cifar10:${folder}`);
    await assert.rejects(dataset.test(), { code: "bad-data", message });
  }
});

test("class names that are there twice are refused with both places", async () => {
  const names = "a b c d e a\u030a f g h \u00e5".split(" ").join("\n");
  const folder = folderWith("twice", new Map([...officialFiles, ["batches.meta.txt", Buffer.from(names)]]));
  await assert.rejects(openDataset(`cifar10:${folder}`), {
    name: "PenniError",
    message: /twice.batches\.meta\.txt: a class is named twice.* as class 5 and as class 9/,
  });
});

test("a wrong place is an error that says what was expected", async () => {
  const expectations: readonly [string, RegExp][] = [
    [path.join(root, "absent"), /absent: no such file or folder/],
    [
      folderWith("other", new Map([["notes.txt", Buffer.from("x")]])),
      /other: not a CIFAR-10.*found notes\.txt/,
    ],
    [
      path.join(folderWith("text", new Map([["a.tar.gz", Buffer.from("x")]])), "a.tar.gz"),
      /a\.tar\.gz: cannot read/,
    ],
    [
      folderWith("names", new Map([...officialFiles, ["batches.meta.txt", Buffer.from("cat\ndog\n")]])),
      /10 lines, found 2/,
    ],
  ];
  for (const [location, message] of expectations) {
    await assert.rejects(openDataset(`cifar10:${location}`), { code: "bad-data", message });
  }
  const imageSize = { width: 224, height: 224 };
  await assert.rejects(openDataset(`cifar10:${path.join(root, "plain")}`, { imageSize }), {
    message: /do not fit the model: expected 224x224 pixels, found 32x32/,
  });
});

test("a specification that is none is an error", async () => {
  for (const spec of ["mnist:x", "cifar10", "cifar10:", "synthetic:few", "synthetic:3", "toString", ""]) {
    await assert.rejects(openDataset(spec), { name: "PenniError", code: "bad-option" });
  }
});

test("the real CIFAR-10", { skip: withoutShared("data/cifar10") }, async () => {
  const folder = sharedPath("data/cifar10");
  const dataset = await openDataset(`cifar10:${folder}`);
  const { classNames = [] } = dataset;
  assert.deepEqual([classNames[0], classNames[9]], ["airplane", "truck"]);
  const testing = await dataset.test();
  assert.equal(testing.count, 10_000);
  const perClass = classNames.map((_, label) => labelsOf(testing).filter((found) => found === label).length);
  assert.deepEqual(new Set(perClass), new Set([1000]));
  const records = gunzipSync(readFileSync(path.join(folder, "test_batch.bin.gz")));
  const lastRecord = records.subarray(9999 * 3073 + 1);
  const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  assert.equal(digest(imagePixels(testing, 9999)), digest(lastRecord));
});
