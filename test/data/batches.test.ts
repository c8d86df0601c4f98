import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import {
  allIndices,
  type BatchPlan,
  batches,
  cifarAugmentation,
  type EpochOptions,
  imagenetPreprocessing,
  labelsOf,
  openDataset,
  planEpoch,
  planEvaluation,
  prefetch,
} from "../../src/data/index.js";

const split = await (await openDataset("synthetic:50")).train();
const indices = allIndices(split);
const options: EpochOptions = {
  batch: 8,
  preprocessing: imagenetPreprocessing,
  augmentation: cifarAugmentation,
  seed: 7,
  epoch: 2,
};

/** A copy of a batch: its arrays are reused. */
interface Kept {
  readonly index: number;
  readonly count: number;
  readonly images: Float32Array;
  readonly labels: readonly bigint[] | undefined;
}

async function collect(source: ReturnType<typeof batches> | ReturnType<typeof prefetch>): Promise<Kept[]> {
  const kept: Kept[] = [];
  for await (const { index, count, images, labels } of source) {
    kept.push({ index, count, images: images.slice(), labels: labels && [...labels] });
  }
  return kept;
}

const made = (plan: BatchPlan) => collect(batches(plan));

test("an epoch is whole batches of different images, the same for the same seed and epoch", async () => {
  const plan = planEpoch(split, indices, options);
  assert.equal(new Set(plan.indices).size, 50);
  const epoch = await made(plan);
  assert.deepEqual(
    epoch.map(({ index, count }) => [index, count]),
    [0, 1, 2, 3, 4, 5].map((index) => [index, 8]),
  );
  assert.deepEqual(await made(planEpoch(split, indices, options)), epoch);
  const other = await made(planEpoch(split, indices, { ...options, epoch: 3 }));
  assert.notDeepEqual(other[0]?.images, epoch[0]?.images);
  const reseeded = await made(planEpoch(split, indices, { ...options, seed: 8 }));
  assert.notDeepEqual(reseeded[0]?.images, epoch[0]?.images);
});

test("a batch that the data cannot fill is an error", () => {
  assert.throws(() => planEpoch(split, indices, { ...options, batch: 51 }), {
    code: "bad-option",
    message: /at most 50 images in a batch, found 51/,
  });
});

test("resuming within an epoch gives exactly the remaining batches", async () => {
  const epoch = await made(planEpoch(split, indices, options));
  const resumed = planEpoch(split, indices, { ...options, startBatch: 4 });
  assert.deepEqual(await made(resumed), epoch.slice(4));
  assert.deepEqual(await collect(prefetch(resumed)), epoch.slice(4));
});

test("evaluation takes every image once, in order, and pads the last batch", async () => {
  const evaluated = await made(
    planEvaluation(split, indices, { batch: 16, preprocessing: imagenetPreprocessing }),
  );
  assert.deepEqual(
    evaluated.map(({ count }) => count),
    [16, 16, 16, 2],
  );
  const labels = evaluated.flatMap(({ labels = [], count }) => labels.slice(0, count));
  assert.deepEqual(labels, Array.from(labelsOf(split), BigInt));
  const last = evaluated[3];
  assert.ok(last?.images.subarray(2 * 3072).every((value) => value === 0));
  assert.ok(last?.labels?.slice(2).every((label) => label === 0n));
  const red = (split.pixels[0] ?? 0) / 255;
  assert.ok(Math.abs((evaluated[0]?.images[0] ?? NaN) - (red - 0.485) / 0.229) < 1e-6);
});

test("images without labels make batches without labels, prefetched ones too", async () => {
  const plan = planEpoch({ ...split, labels: undefined }, indices, options);
  const epoch = await made(plan);
  assert.ok(epoch.every(({ labels }) => labels === undefined));
  assert.deepEqual(
    epoch.map(({ images }) => images),
    (await made(planEpoch(split, indices, options))).map(({ images }) => images),
  );
  assert.deepEqual(await collect(prefetch(plan)), epoch);
});

test("prefetching gives the same batches", async () => {
  for (const plan of [
    planEpoch(split, indices, options),
    planEvaluation(split, indices, { batch: 16, preprocessing: imagenetPreprocessing }),
    planEpoch(split, indices, { ...options, startBatch: 6 }),
  ]) {
    assert.deepEqual(await collect(prefetch(plan)), await made(plan));
  }
});

test("leaving a prefetching loop early stops the worker and lets the process end", () => {
  const module = new URL("../../src/data/index.js", import.meta.url).href;
  const script = `
    import * as data from ${JSON.stringify(module)};
    const split = await (await data.openDataset("synthetic:100")).train();
    const plan = data.planEvaluation(split, data.allIndices(split), { batch: 2, preprocessing: data.imagenetPreprocessing });
    for await (const batch of data.prefetch(plan)) if (batch.index === 1) break;
    const abandoned = data.prefetch(plan);
    await abandoned.next();
    console.log("end");`;
  const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.deepEqual({ status, stdout }, { status: 0, stdout: "end\n" });
});
