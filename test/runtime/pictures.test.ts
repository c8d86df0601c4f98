import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import sharp from "sharp";
import { compileToWasm } from "../../src/compile/index.js";
import {
  allIndices,
  batches,
  openDataset,
  type PictureOptions,
  pictureFormat,
  planEvaluation,
} from "../../src/data/index.js";
import { readModel } from "../../src/files/model_files.js";
import { PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import { decidedClass } from "../../src/measure/accuracy.js";
import { type ImageLike, load } from "../../src/runtime/index.js";
import { writePhotos } from "../../support/photos.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { referenceOutput } from "./support.js";

const PHOTOS = 500;
const CLASSES = 10;
const model = "models/resnet20.onnx";
const skip = withoutShared(model) || withoutShared("data/cifar10");

const root = mkdtempSync(path.join(os.tmpdir(), "penni-photos-"));
after(() => rmSync(root, { recursive: true }));

/** Other ways to resize. */
const ways: readonly PictureOptions[] = [
  { resize: "stretch" },
  { resize: "letterbox" },
  { resize: "letterbox", padColor: [250, 3, 99] },
  { crop: 0.875 },
  { resize: "stretch", crop: 0.6 },
];

/** As a program in Node gets at an image's pixels. */
async function decoded(file: string): Promise<ImageLike> {
  const { data, info } = await sharp(file).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

/** Equal for the same numbers alone. */
function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
}

test("photos of any size, clean and noisy: what eval sees is what classify sees", { skip }, async (t) => {
  const cifar = await openDataset(`cifar10:${sharedPath("data/cifar10")}`);
  const { classNames = [] } = cifar;
  const split = await cifar.test();
  await writePhotos(path.join(root, "train"), split, classNames, 100);
  const photos = await writePhotos(path.join(root, "test"), split, classNames, PHOTOS);

  const graph = await readModel(sharedPath(model));
  const { preprocessing } = pictureFormat(graph);
  const folder = await openDataset(`folder:${root}`, {
    imageSize: { width: 32, height: 32 },
    preprocessing,
  });
  assert.deepEqual(folder.classNames, classNames.toSorted());
  const seen = await folder.test();
  const [batch] = batches(planEvaluation(seen, allIndices(seen), { batch: PHOTOS, preprocessing }));
  assert.ok(batch !== undefined);
  const logits = await referenceOutput(graph, [PHOTOS, 3, 32, 32], batch.images);

  const metadata = new Map([[PREPROCESSING_KEY, JSON.stringify(preprocessing)]]);
  const compiled = await load(compileToWasm({ ...graph, metadata }));
  const inOrder = photos.toSorted((a, b) => (a.file < b.file ? -1 : 1));
  const size = 3 * 32 * 32;
  let [same, correct] = [0, 0];
  for (const [index, { file, label }] of inOrder.entries()) {
    const image = await decoded(file);
    assert.deepEqual(compiled.prepare(image), batch.images.slice(index * size, (index + 1) * size), file);
    const best = decidedClass(logits.subarray(index * CLASSES, (index + 1) * CLASSES));
    if (compiled.classify(image)[0]?.index === best) same += 1;
    if (best === label) correct += 1;
  }
  // One picture may lie between two classes: the two programs add in different orders.
  assert.ok(same >= PHOTOS - 1, `${same} of ${PHOTOS}`);
  assert.ok(correct >= 0.8 * PHOTOS, `${correct} of ${PHOTOS} right`);
  for (const options of ways) {
    const other = pictureFormat(graph, options).preprocessing;
    const opened = await openDataset(`images:${path.join(root, "test")}`, {
      imageSize: { width: 32, height: 32 },
      preprocessing: other,
    });
    const taken = await opened.train();
    const stated = new Map([[PREPROCESSING_KEY, JSON.stringify(other)]]);
    const prepared = await load(compileToWasm({ ...graph, metadata: stated }));
    const inputs = await Promise.all(photos.map(async ({ file }) => prepared.prepare(await decoded(file))));
    const known = new Set(inputs.map(bytesOf));
    const [all] = batches(
      planEvaluation(taken, allIndices(taken), { batch: taken.count, preprocessing: other }),
    );
    assert.ok(all !== undefined);
    for (let index = 0; index < taken.count; index++)
      assert.ok(
        known.has(bytesOf(all.images.subarray(index * size, (index + 1) * size))),
        JSON.stringify(options),
      );
  }
  t.diagnostic(`same answer ${same} of ${PHOTOS}, right ${correct}`);
});
