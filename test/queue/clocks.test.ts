import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { openQueueRunner } from "../../src/queue/queue_runner.js";
import { startWorker, TrialMaker, WatchedEpochs } from "../../support/queue.js";
import { TestRedis, withoutRedis } from "../../support/redis_server.js";
import { until } from "../../support/until.js";

const HOUR = 3_600_000;
const folder = mkdtempSync(path.join(tmpdir(), "penni-clocks-"));
after(() => rmSync(folder, { recursive: true, force: true }));

// One after the other: they set the clock of this process.
describe("clocks that differ", { skip: withoutRedis }, () => {
  const maker = new TrialMaker(path.join(folder, "sweep"));
  const store = path.join(folder, "store");
  let redis: TestRedis;

  before(async () => {
    redis = await TestRedis.start();
    await maker.prepare();
  });
  after(() => redis.end());

  const shift = (context: TestContext, milliseconds: number): void => {
    const now = Date.now.bind(Date);
    context.mock.method(Date, "now", () => now() + milliseconds);
  };

  test("a worker with another clock than the queue's server is refused by how much, and takes no trial", async (context) => {
    const runner = await openQueueRunner({ url: redis.url, store });
    await runner.close();
    for (const [difference, found] of [
      [HOUR, /expected at most 30 s between them, found 36\d\d s ahead\. Set/],
      [-HOUR, /found 3[56]\d\d s behind/],
      [-20_000, undefined],
    ] as const) {
      shift(context, difference);
      const worker = startWorker(redis.url, store, { isOnce: true });
      const report = worker.then((started) => started.report);
      if (found === undefined) assert.deepEqual(await report, { done: 0, failed: 0, refused: 0 });
      else await assert.rejects(report, found);
      context.mock.restoreAll();
    }
  });

  test("a clock that is set back in the middle of a trial does not keep its checkpoints from the store", async (context) => {
    const runner = await openQueueRunner({ url: redis.url, store, lookMs: 200 });
    const worker = await startWorker(redis.url, store, { lostAfterMs: 120_000, workshop: { uploadMs: 50 } });
    const trial = maker.fake({ epochs: 2000, milliseconds: 50 });
    const watch = new WatchedEpochs();
    const outcome = runner.run(trial, maker.directory(trial), watch);
    const checkpoint = path.join(store, "trials", trial.id, "checkpoint");
    const written = (): number => (existsSync(checkpoint) ? statSync(checkpoint).mtimeMs : 0);
    await until(() => written() > 0);
    shift(context, -HOUR);
    // One may be on its way.
    for (let news = 0; news < 3; news++) {
      const last = written();
      await until(() => written() > last);
    }
    context.mock.restoreAll();
    watch.pause();
    assert.equal((await outcome).status, "paused");
    worker.leave();
    await worker.report;
    await runner.close();
  });
});
