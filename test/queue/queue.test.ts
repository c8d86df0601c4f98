import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { queueAddress } from "../../src/queue/address.js";
import { administer } from "../../src/queue/administration.js";
import { DirectoryStore } from "../../src/queue/directory_store.js";
import { connectionOptions, KEY_PREFIX, QUEUE_NAME } from "../../src/queue/libraries.js";
import { jobIdOf } from "../../src/queue/payload.js";
import { openQueueRunner, type QueueRunnerOptions } from "../../src/queue/queue_runner.js";
import { writeRecord } from "../../src/queue/records.js";
import type { Trial, TrialOutcome, TrialRunner } from "../../src/sweep/trial.js";
import {
  ownVersions,
  startWorker as start,
  type TestWorker,
  TrialMaker,
  WatchedEpochs,
} from "../../support/queue.js";
import { TestRedis, withoutRedis } from "../../support/redis_server.js";

describe("trials on a queue", { skip: withoutRedis }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "penni-queue-"));
  const store = path.join(folder, "store");
  const maker = new TrialMaker(path.join(folder, "sweep"));
  let redis: TestRedis;
  let runner: TrialRunner;
  const notices: string[] = [];

  const open = (more: Partial<QueueRunnerOptions> = {}): Promise<TrialRunner> =>
    openQueueRunner({
      url: redis.url,
      store,
      lookMs: 200,
      backoffMs: 100,
      notice: (text) => notices.push(text),
      ...more,
    });

  before(async () => {
    redis = await TestRedis.start();
    await maker.prepare();
    runner = await open();
  });

  after(async () => {
    await runner.close();
    await redis.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const workers: TestWorker[] = [];
  const startWorker = async (...given: Parameters<typeof start>): Promise<TestWorker> => {
    const worker = await start(...given);
    workers.push(worker);
    return worker;
  };

  afterEach(async () => {
    for (const worker of workers) worker.leave();
    await Promise.all(workers.splice(0).map(({ report }) => report));
  });

  const run = (trial: Trial, watch = new WatchedEpochs(), by = runner): Promise<TrialOutcome> =>
    by.run(trial, maker.directory(trial), watch);

  const result = (trial: Trial): string =>
    readFileSync(path.join(maker.directory(trial), "model.onnx"), "utf8");

  async function until(condition: () => boolean): Promise<void> {
    for (let left = 1200; !condition(); left--) {
      assert.ok(left > 0, "it did not come to that");
      await sleep(25);
    }
  }

  /** With the queue itself, for what no sweep would do. */
  async function withQueue<Result>(work: (queue: Queue) => Promise<Result>): Promise<Result> {
    const queue = new Queue(QUEUE_NAME, {
      connection: connectionOptions(queueAddress(redis.url)),
      prefix: KEY_PREFIX,
    });
    try {
      return await work(queue);
    } finally {
      await queue.close();
    }
  }

  test("a trial is computed by a worker and comes back whole, with its epochs in order", async () => {
    const worker = await startWorker(redis.url, store);
    const trial = maker.fake({ epochs: 4, milliseconds: 100 });
    const watch = new WatchedEpochs();
    const outcome = await run(trial, watch);
    assert.equal(outcome.status, "done");
    if (outcome.status !== "done") return;
    assert.deepEqual(outcome.provenance, { ...ownVersions(), worker: "tester", attempts: 1 });
    assert.equal(outcome.summary.model, path.join(maker.directory(trial), "model.onnx"));
    assert.deepEqual(
      watch.epochs.map(({ epoch }) => epoch),
      [1, 2, 3, 4],
    );
    assert.equal(result(trial), "the network after 4 epochs of synthetic:200");
    // As the sweep names it, not where the worker had it.
    const config = JSON.parse(readFileSync(path.join(maker.directory(trial), "config.json"), "utf8"));
    assert.equal(config.model, maker.model);
    worker.leave();
    assert.deepEqual(await worker.report, { done: 1, failed: 0, refused: 0 });
  });

  test("the same trial again is found by its digest, and computed by nobody", async () => {
    const trial = maker.fake({ epochs: 1, milliseconds: 1 });
    const worker = await startWorker(redis.url, store);
    assert.equal((await run(trial)).status, "done");
    worker.leave();
    await worker.report;
    rmSync(maker.directory(trial), { recursive: true });
    assert.equal((await run(trial)).status, "done");
    assert.equal(result(trial), "the network after 1 epochs of synthetic:200");
    assert.equal(maker.log(trial).filter((line) => line.startsWith("begin")).length, 1);
  });

  test("the same trial delivered twice at once has one result", async () => {
    const trial = maker.fake({ epochs: 40, milliseconds: 100 });
    await startWorker(redis.url, store);
    await startWorker(redis.url, store);
    const outcome = run(trial);
    await until(() => maker.log(trial).length > 1);
    // As if the queue had lost it: the second worker gets it while the first one goes on.
    const client = new Redis(redis.url);
    assert.equal(await client.del(`${KEY_PREFIX}:${QUEUE_NAME}:${jobIdOf(trial.id)}:lock`), 1);
    client.disconnect();
    assert.equal((await outcome).status, "done");
    const results = readdirSync(path.join(store, "trials", trial.id)).filter((name) => name === "result");
    assert.equal(results.length, 1);
    const starts = maker.log(trial).filter((line) => /^(?:begin|resume)/.test(line));
    assert.equal(starts.length, 2, "it was delivered twice");
    assert.equal(result(trial), "the network after 40 epochs of synthetic:200");
  });

  test("a trial that falls behind is stopped with a checkpoint, and goes on when it is run again", async () => {
    const worker = await startWorker(redis.url, store);
    const trial = maker.fake({ epochs: 40, milliseconds: 50 });
    const outcome = await run(trial, new WatchedEpochs(3));
    assert.equal(outcome.status, "stopped");
    assert.ok(existsSync(path.join(maker.directory(trial), "checkpoints/retrain.ckpt")));
    const begun = maker.log(trial).filter((line) => line.startsWith("epoch")).length;
    assert.ok(begun >= 3 && begun < 40, `${begun}`);
    assert.equal((await run(trial)).status, "done");
    const epochs = maker.log(trial).filter((line) => line.startsWith("epoch"));
    assert.equal(epochs.length, 40, "nothing is computed twice");
    assert.equal(maker.log(trial).filter((line) => line.startsWith("begin")).length, 1);
    worker.leave();
    await worker.report;
  });

  test("a pause ends trials that run and takes off those that wait; both go on later", async () => {
    const worker = await startWorker(redis.url, store);
    const trials = [0, 1].map(() => maker.fake({ epochs: 40, milliseconds: 50 }));
    const watches = trials.map(() => new WatchedEpochs());
    const outcomes = trials.map((trial, index) => run(trial, watches[index]));
    await until(() => trials.some((trial) => maker.log(trial).length > 3));
    for (const watch of watches) watch.pause();
    assert.deepEqual(
      (await Promise.all(outcomes)).map(({ status }) => status),
      ["paused", "paused"],
    );
    assert.equal(await withQueue((queue) => queue.getJobCountByTypes("waiting", "active")), 0);
    const again = await Promise.all(trials.map((trial) => run(trial)));
    assert.deepEqual(
      again.map(({ status }) => status),
      ["done", "done"],
    );
    for (const trial of trials)
      assert.equal(maker.log(trial).filter((line) => line.startsWith("epoch")).length, 40);
    worker.leave();
    await worker.report;
  });

  test("a worker that is asked to end gives its trial back with a checkpoint, and another goes on", async () => {
    const first = await startWorker(redis.url, store, { workshop: { worker: "first" } });
    const trial = maker.fake({ epochs: 30, milliseconds: 50 });
    const outcome = run(trial);
    await until(() => maker.log(trial).length > 4);
    first.leave();
    assert.equal((await first.report).failed, 0);
    const second = await startWorker(redis.url, store, { workshop: { worker: "second" } });
    const ended = await outcome;
    assert.equal(ended.status, "done");
    assert.equal(ended.status === "done" ? ended.provenance.worker : "", "second");
    assert.equal(ended.status === "done" ? ended.provenance.attempts : 0, 1, "it is no failure");
    assert.deepEqual(
      maker.log(trial).filter((line) => line.startsWith("epoch")),
      Array.from({ length: 30 }, (_, index) => `epoch ${index + 1}`),
    );
    second.leave();
    await second.report;
  });

  test("a trial that fails is tried a stated number of times, and its reason comes back", async () => {
    const worker = await startWorker(redis.url, store);
    const trial = maker.fake({ epochs: 9, milliseconds: 1, fails: "the disk is full: ENOSPC" });
    const outcome = await run(trial);
    assert.equal(outcome.status, "failed");
    if (outcome.status !== "failed") return;
    assert.match(outcome.reason, /the disk is full: ENOSPC/);
    assert.equal(outcome.attempts, 3);
    assert.equal(maker.log(trial).filter((line) => /^(?:begin|resume)/.test(line)).length, 3);
    worker.leave();
    assert.equal((await worker.report).failed, 3);
  });

  test("Redis restarts, and is away: nothing is lost, nothing counted twice", async () => {
    const worker = await startWorker(redis.url, store, { lostAfterMs: 20_000, jobs: 2 });
    const trials = [0, 1, 2].map(() => maker.fake({ epochs: 20, milliseconds: 50 }));
    const outcomes = trials.map((trial) => run(trial));
    await until(() => trials.some((trial) => maker.log(trial).length > 3));
    await redis.down();
    await sleep(1500);
    await redis.up();
    assert.deepEqual(
      (await Promise.all(outcomes)).map(({ status }) => status),
      ["done", "done", "done"],
    );
    for (const trial of trials) {
      const starts = maker.log(trial).filter((line) => /^(?:begin|resume)/.test(line));
      assert.equal(starts.length, 1);
      assert.equal(maker.log(trial).filter((line) => line.startsWith("epoch")).length, 20);
    }
    assert.ok(
      worker.notices.some((text) => /is away .*: waiting/.test(text)),
      worker.notices.join("\n"),
    );
    worker.leave();
    await worker.report;
  });

  test("Redis lost entirely: the sweep fills the new one with what is missing", async () => {
    const worker = await startWorker(redis.url, store);
    const trials = [0, 1, 2].map(() => maker.fake({ epochs: 10, milliseconds: 50 }));
    const outcomes = trials.map((trial) => run(trial));
    await until(() => trials.some((trial) => maker.log(trial).length > 3));
    await redis.down();
    redis.forget();
    await redis.up();
    assert.deepEqual(
      (await Promise.all(outcomes)).map(({ status }) => status),
      ["done", "done", "done"],
    );
    for (const trial of trials)
      assert.equal(maker.log(trial).filter((line) => line.startsWith("begin")).length, 1);
    worker.leave();
    await worker.report;
  });

  test("a worker of another version refuses by name; --mixed takes the trial and says so in its result", async () => {
    const other = { ...ownVersions(), onnxruntime: "1.0.0" };
    const trial = maker.fake({ epochs: 1, milliseconds: 1 });
    const refusing = await startWorker(redis.url, store, { workshop: { versions: other, worker: "old" } });
    const outcome = run(trial);
    await until(() => notices.some((text) => text.includes("the worker old has another version")));
    const said = notices.find((text) => text.includes("the worker old")) ?? "";
    assert.match(said, /ONNX Runtime: expected \S+, found 1\.0\.0\..*--mixed/);
    assert.deepEqual(maker.log(trial), []);
    refusing.leave();
    const { refused, failed } = await refusing.report;
    assert.deepEqual([refused >= 1, failed], [true, 0]);
    // It waits to be offered again.
    await withQueue(async (queue) => (await queue.getJob(jobIdOf(trial.id)))?.promote());
    const mixed = await startWorker(redis.url, store, {
      isMixed: true,
      workshop: { versions: other, worker: "mixed" },
    });
    const ended = await outcome;
    assert.equal(ended.status === "done" ? ended.provenance.onnxruntime : ended.status, "1.0.0");
    mixed.leave();
    await mixed.report;
  });

  test("a worker with another store refuses by name, and leaves the trial to those that have the sweep's", async () => {
    const other = path.join(folder, "other-store");
    await DirectoryStore.create(other);
    const trial = maker.fake({ epochs: 1, milliseconds: 1 });
    const wrong = await startWorker(redis.url, other, { isMixed: true, workshop: { worker: "astray" } });
    const outcome = run(trial);
    await until(() => notices.some((text) => text.includes("the worker astray has another store")));
    assert.deepEqual(maker.log(trial), []);
    wrong.leave();
    const { refused, failed } = await wrong.report;
    assert.deepEqual([refused >= 1, failed], [true, 0]);
    await startWorker(redis.url, store);
    await withQueue(async (queue) => (await queue.getJob(jobIdOf(trial.id)))?.promote());
    const ended = await outcome;
    assert.equal(ended.status === "done" ? ended.provenance.worker : ended.status, "tester");
  });

  test("penni queue: status, pause, resume, drain", async () => {
    const address = queueAddress(redis.url);
    assert.equal((await administer("pause", address)).isPaused, true);
    const worker = await startWorker(redis.url, store, { workshop: { worker: "seen" } });
    const trials = [0, 1].map(() => maker.fake({ epochs: 2, milliseconds: 100 }));
    const outcomes = trials.map((trial) => run(trial));
    let status = await administer("status", address);
    for (let left = 100; status.waiting < 2 && left > 0; left--) {
      await sleep(50);
      status = await administer("status", address);
    }
    assert.deepEqual([status.waiting, status.running.length], [2, 0]);
    assert.deepEqual(status.workers, ["seen"]);
    assert.equal((await administer("drain", address)).waiting, 0);
    assert.deepEqual(
      (await Promise.all(outcomes)).map((outcome) => outcome.status),
      ["paused", "paused"],
    );
    assert.equal((await administer("resume", address)).isPaused, false);
    const again = await Promise.all(trials.map((trial) => run(trial)));
    assert.deepEqual(
      again.map((outcome) => outcome.status),
      ["done", "done"],
    );
    worker.leave();
    await worker.report;
  });

  test("a store that is away: the attempt fails with the reason, and a later one succeeds", async () => {
    const trial = maker.fake({ epochs: 1, milliseconds: 1 });
    const hidden = `${store}.away`;
    let isHidden = false;
    const seen: string[] = [];
    await administer("pause", queueAddress(redis.url));
    await startWorker(redis.url, store, {
      workshop: {
        notice: (text) => {
          seen.push(text);
          if (isHidden && /trial [0-9a-f]{12}: /.test(text)) renameSync(hidden, store);
          isHidden &&= !existsSync(store);
        },
      },
    });
    const outcome = run(trial);
    while ((await withQueue((queue) => queue.getJobCountByTypes("waiting"))) === 0) await sleep(25);
    renameSync(store, hidden);
    isHidden = true;
    await administer("resume", queueAddress(redis.url));
    const ended = await outcome;
    assert.equal(ended.status, "done", JSON.stringify(ended));
    assert.equal(ended.status === "done" ? ended.provenance.attempts : 0, 2);
    assert.ok(
      seen.some((text) => /cannot read from the store|no store/.test(text)),
      seen.join("\n"),
    );
  });

  test("images at another place are taken where a map says, if they are the same", async () => {
    const images = (name: string, content: string): string => {
      const place = path.join(folder, name);
      mkdirSync(path.join(place, "cats"), { recursive: true });
      writeFileSync(path.join(place, "cats/1.png"), content);
      return place;
    };
    const [there, same, other] = [images("there", "cat"), images("same", "cat"), images("other", "dog")];
    const local = (to: string) => ({ maps: [{ from: there, to }], check: () => undefined, threads: 1 });
    const wrong = await startWorker(redis.url, store, { workshop: { local: local(other) } });
    const trial = maker.fake({ epochs: 1, milliseconds: 1 }, `folder:${there}`);
    const failed = await run(trial);
    assert.match(failed.status === "failed" ? failed.reason : "", /not the images of the sweep.*--data-map/);
    wrong.leave();
    await wrong.report;
    await startWorker(redis.url, store, { workshop: { local: local(same) } });
    assert.equal((await run(trial)).status, "done");
    assert.equal(result(trial), `the network after 1 epochs of folder:${same}`);
    const config = JSON.parse(readFileSync(path.join(maker.directory(trial), "config.json"), "utf8"));
    assert.equal(config.data, `folder:${there}`);
  });

  test("a trial that takes many times as long as a worker may be silent is not given to another", async () => {
    await startWorker(redis.url, store, { lostAfterMs: 1000, workshop: { worker: "slow" } });
    await startWorker(redis.url, store, { lostAfterMs: 1000, workshop: { worker: "idle" } });
    const trial = maker.fake({ epochs: 2, milliseconds: 2500 });
    assert.equal((await run(trial)).status, "done");
    assert.equal(maker.log(trial).filter((line) => /^(?:begin|resume)/.test(line)).length, 1);
  });

  test("a trial that ends its worker each time is not tried for ever", async () => {
    const trial = maker.fake({ epochs: 1, milliseconds: 1 });
    const there = await DirectoryStore.open(store);
    await writeRecord(there, trial.id, "starts", { format: 1, checkpoint: null, count: 5 });
    await startWorker(redis.url, store);
    const outcome = await run(trial);
    assert.match(outcome.status === "failed" ? outcome.reason : "", /ended its workers each time.*5 starts/);
    assert.deepEqual(maker.log(trial), []);
  });

  test("a trial whose model is gone fails with the reason, and nothing is put on the queue", async () => {
    const trial = maker.real({ model: path.join(folder, "none.onnx") });
    const outcome = await run(trial);
    assert.equal(outcome.status, "failed");
    assert.match(outcome.status === "failed" ? outcome.reason : "", /none\.onnx/);
    assert.equal(await withQueue((queue) => queue.getJob(jobIdOf(trial.id))), undefined);
  });
});
