import assert from "node:assert/strict";
import { test } from "node:test";
import type { Checkpoint } from "../../src/train/checkpoint.js";
import { EpochBooks } from "../../src/train/epoch_books.js";
import type { EpochMetrics } from "../../src/train/plan.js";
import { Recoveries } from "../../src/train/recoveries.js";

const checkpoint = (changes: Partial<Checkpoint>): Checkpoint => ({
  identity: { networks: "", options: {} },
  step: 0,
  lossSum: 0,
  hits: 0,
  images: 0,
  recoveries: [],
  history: [],
  tensors: new Map(),
  ...changes,
});

const metrics = (changes: Partial<EpochMetrics>): EpochMetrics => ({
  stage: "s",
  phase: "p",
  epoch: 1,
  step: 4,
  learningRate: 0.1,
  loss: 1,
  sparsity: 0,
  macs: 100,
  ...changes,
});

test("each recovery halves the learning rate; a checkpoint brings back those that it knows, and the trend", () => {
  const recoveries = new Recoveries();
  assert.deepEqual([recoveries.rateFactor, recoveries.trend], [1, undefined]);
  recoveries.follow(2);
  const first = recoveries.next("bad", 7, 4);
  assert.deepEqual(first, { problem: "bad", step: 7, backTo: 4, rateFactor: 0.5 });
  recoveries.restore(checkpoint({}));
  assert.equal(recoveries.trend, undefined);
  recoveries.add(first);
  assert.equal(recoveries.next("worse", 8, 4).rateFactor, 0.25);
  recoveries.restore(checkpoint({ recoveries: [first, first], trend: { mean: 1, lowest: 1 } }));
  assert.deepEqual([recoveries.rateFactor, recoveries.trend], [0.25, { mean: 1, lowest: 1 }]);
  assert.equal(recoveries.problemOf(1.5, 1), undefined);
  assert.match(recoveries.problemOf(11, 1) ?? "", /more than 10 times/);
});

test("the books of an epoch: means, what is in no checkpoint yet, and recoveries that no epoch has told", () => {
  const books = new EpochBooks(true);
  books.count({ loss: 1, hits: 4 }, 10, 20);
  books.count({ loss: 2, hits: 6 }, 10, 30);
  assert.deepEqual(books.means, { loss: 1.5, accuracy: 0.5 });
  assert.deepEqual(books.sums, { lossSum: 30, hits: 10, images: 20 });
  const recovery = { problem: "bad", step: 3, backTo: 2, rateFactor: 0.5 };
  assert.deepEqual(books.untold([recovery]), [recovery]);
  const first = metrics({ recoveries: [recovery] });
  assert.deepEqual(books.close(first), { stage: "s", epoch: 1, steps: 2, seconds: 0.05, macs: 100 });
  assert.deepEqual(books.untold([recovery]), []);
  assert.ok(books.hasUnreported);
  assert.deepEqual(books.takeUnreported(), [first]);
  assert.deepEqual([books.hasUnreported, books.history.length, books.sums.images], [false, 1, 0]);
  books.close(metrics({ epoch: 2 }));
  books.restore(checkpoint({ history: [first], lossSum: 5, hits: 1, images: 10 }));
  assert.deepEqual([books.history, books.takeUnreported()], [[first], []]);
  assert.deepEqual(books.means, { loss: 0.5, accuracy: 0.1 });
  assert.deepEqual(new EpochBooks(false).means, { loss: Number.NaN });
});
