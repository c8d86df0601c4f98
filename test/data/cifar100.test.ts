import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { imagePixels, labelsOf, openDataset } from "../../src/data/index.js";

const root = mkdtempSync(path.join(os.tmpdir(), "penni-cifar100-"));
after(() => rmSync(root, { recursive: true }));

const record = (coarse: number, fine: number): Buffer =>
  Buffer.from([coarse, fine, ...Array(3072).fill(fine)]);

test("the class of a record is its second byte", async () => {
  writeFileSync(path.join(root, "train.bin"), Buffer.concat([record(4, 0), record(1, 99)]));
  writeFileSync(path.join(root, "test.bin"), record(3, 71));
  const dataset = await openDataset(`cifar100:${root}`);
  const train = await dataset.train();
  assert.deepEqual([...labelsOf(train)], [0, 99]);
  assert.equal(imagePixels(train, 1)[0], 99);
  assert.deepEqual([...labelsOf(await dataset.test())], [71]);
  assert.equal(dataset.classNames?.length, 100);
  assert.deepEqual(
    [dataset.classNames[0], dataset.classNames[71], dataset.classNames[99]],
    ["apple", "sea", "worm"],
  );
});

test("CIFAR-10's files are no CIFAR-100, and say so", async () => {
  const folder = mkdtempSync(path.join(root, "other-"));
  writeFileSync(path.join(folder, "data_batch_1.bin"), Buffer.alloc(3073));
  await assert.rejects(openDataset(`cifar100:${folder}`), {
    code: "bad-data",
    message: /not a CIFAR-100 folder: expected train\.bin and test\.bin.*found data_batch_1\.bin/,
  });
  writeFileSync(path.join(folder, "test.bin"), record(0, 100));
  const dataset = await openDataset(`cifar100:${folder}`);
  await assert.rejects(dataset.test(), { code: "bad-data", message: /expected 0 to 99, found 100/ });
});
