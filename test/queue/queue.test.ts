import assert from "node:assert/strict";
import {
  copyFileSync,
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
import { after, before, describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { PenniError } from "../../src/graph/errors.js";
import { queueAddress } from "../../src/queue/address.js";
import { administer } from "../../src/queue/administration.js";
import { DirectoryStore } from "../../src/queue/directory_store.js";
import { connectionOptions, KEY_PREFIX, QUEUE_NAME } from "../../src/queue/libraries.js";
import { JOB_NAME, jobIdOf } from "../../src/queue/payload.js";
import { openQueueRunner } from "../../src/queue/queue_runner.js";
import { writeRecord } from "../../src/queue/records.js";
import type { RecordName } from "../../src/queue/store.js";
import { sha256 } from "../../src/sweep/identity.js";
import { sweepEventSchema } from "../../src/sweep/journal.js";
import type { Trial, TrialOutcome, TrialRunner } from "../../src/sweep/trial.js";
import { ownVersions, startWorker, type TestWorker, TrialMaker, WatchedEpochs } from "../../support/queue.js";
import { TestRedis, withoutRedis } from "../../support/redis_server.js";
import { until } from "../../support/until.js";

/** A queue and a store of a test's own, so that tests can go on at the same time. */
class Scene {
  readonly notices: string[] = [];
  private readonly workers: TestWorker[] = [];
  private readonly watches: WatchedEpochs[] = [];
  private opened: TrialRunner | undefined;

  private constructor(
    readonly url: string,
    readonly store: string,
    readonly maker: TrialMaker,
  ) {}

  static async open(url: string, folder: string): Promise<Scene> {
    const maker = new TrialMaker(path.join(folder, "sweep"));
    await maker.prepare();
    const scene = new Scene(url, path.join(folder, "store"), maker);
    scene.opened = await scene.openRunner();
    return scene;
  }

  openRunner(): Promise<TrialRunner> {
    const { url, store, notices } = this;
    const notice = (text: string): void => void notices.push(text);
    return openQueueRunner({ url, store, lookMs: 200, backoffMs: 100, notice });
  }

  async close(): Promise<void> {
    // Of a test that has failed in the middle.
    for (const watch of this.watches) watch.pause();
    await this.leave();
    await this.opened?.close();
  }

  async startWorker(given: Parameters<typeof startWorker>[2] = {}, store = this.store): Promise<TestWorker> {
    const worker = await startWorker(this.url, store, given);
    this.workers.push(worker);
    return worker;
  }

  /** All workers end. */
  async leave(): Promise<void> {
    for (const worker of this.workers) worker.leave();
    await Promise.all(this.workers.splice(0).map(({ report }) => report));
  }

  async run(trial: Trial, watch = new WatchedEpochs()): Promise<TrialOutcome> {
    assert.ok(this.opened !== undefined);
    this.watches.push(watch);
    return this.opened.run(trial, this.maker.directory(trial), watch);
  }

  result(trial: Trial): string {
    return readFileSync(path.join(this.maker.directory(trial), "model.onnx"), "utf8");
  }

  epochs(trial: Trial): readonly string[] {
    return this.maker.log(trial).filter((line) => line.startsWith("epoch"));
  }

  starts(trial: Trial): number {
    return this.maker.log(trial).filter((line) => /^(?:begin|resume)/.test(line)).length;
  }

  /** With the queue itself, for what no sweep would do. */
  async withQueue<Result>(work: (queue: Queue) => Promise<Result>): Promise<Result> {
    const queue = new Queue(QUEUE_NAME, {
      connection: connectionOptions(queueAddress(this.url)),
      prefix: KEY_PREFIX,
    });
    try {
      return await work(queue);
    } finally {
      await queue.close();
    }
  }
}

const folder = mkdtempSync(path.join(tmpdir(), "penni-queue-"));
after(() => rmSync(folder, { recursive: true, force: true }));

// Most of their time is waiting.
describe("trials on a queue", { skip: withoutRedis, concurrency: 6 }, () => {
  let redis: TestRedis;
  let count = 0;

  before(async () => {
    redis = await TestRedis.start();
  });
  after(() => redis.end());

  const scenes = (url: string): Promise<Scene> => Scene.open(url, path.join(folder, `${count++}`));

  async function open(context: TestContext): Promise<Scene> {
    const scene = await scenes(redis.database(count));
    context.after(() => scene.close());
    return scene;
  }

  /** With a server of its own, which it may kill. */
  async function openAlone(context: TestContext): Promise<{ scene: Scene; server: TestRedis }> {
    const server = await TestRedis.start();
    const scene = await scenes(server.url);
    context.after(async () => {
      await scene.close();
      await server.end();
    });
    return { scene, server };
  }

  test("a trial that takes many times as long as a worker may be silent is not given to another", async (context) => {
    const scene = await open(context);
    await scene.startWorker({ lostAfterMs: 3000, workshop: { worker: "slow" } });
    await scene.startWorker({ lostAfterMs: 3000, workshop: { worker: "idle" } });
    const trial = scene.maker.fake({ epochs: 2, milliseconds: 6000 });
    assert.equal((await scene.run(trial)).status, "done");
    assert.equal(scene.starts(trial), 1);
  });

  test("a trial is computed by a worker and comes back whole, with its epochs in order", async (context) => {
    const scene = await open(context);
    const worker = await scene.startWorker();
    const trial = scene.maker.fake({ epochs: 4, milliseconds: 100 });
    const watch = new WatchedEpochs();
    const outcome = await scene.run(trial, watch);
    assert.equal(outcome.status, "done");
    if (outcome.status !== "done") return;
    assert.deepEqual(outcome.provenance, { ...ownVersions(), worker: "tester", attempts: 1 });
    assert.equal(outcome.summary.model, path.join(scene.maker.directory(trial), "model.onnx"));
    assert.deepEqual(
      watch.epochs.map(({ epoch }) => epoch),
      [1, 2, 3, 4],
    );
    assert.equal(scene.result(trial), "the network after 4 epochs of synthetic:200");
    // As the sweep names it, not where the worker had it.
    const config = JSON.parse(readFileSync(path.join(scene.maker.directory(trial), "config.json"), "utf8"));
    assert.equal(config.model, scene.maker.model);
    worker.leave();
    assert.deepEqual(await worker.report, { done: 1, failed: 0, refused: 0 });
  });

  test("the same trial again is found by its digest, and computed by nobody", async (context) => {
    const scene = await open(context);
    const trial = scene.maker.fake({ epochs: 1, milliseconds: 1 });
    const worker = await scene.startWorker();
    assert.equal((await scene.run(trial)).status, "done");
    worker.leave();
    await worker.report;
    rmSync(scene.maker.directory(trial), { recursive: true });
    assert.equal((await scene.run(trial)).status, "done");
    assert.equal(scene.result(trial), "the network after 1 epochs of synthetic:200");
    assert.equal(scene.maker.log(trial).filter((line) => line.startsWith("begin")).length, 1);
  });

  test("the same trial delivered twice at once has one result", async (context) => {
    const scene = await open(context);
    const trial = scene.maker.fake({ epochs: 40, milliseconds: 20, holdsAt: 10 });
    await scene.startWorker({ lostAfterMs: 3000 });
    await scene.startWorker({ lostAfterMs: 3000 });
    const outcome = scene.run(trial);
    await until(() => scene.maker.log(trial).length > 1);
    // As if the queue had lost it: the second worker gets it while the first one goes on.
    const client = new Redis(scene.url);
    assert.equal(await client.del(`${KEY_PREFIX}:${QUEUE_NAME}:${jobIdOf(trial.id)}:lock`), 1);
    client.disconnect();
    assert.equal((await outcome).status, "done");
    const results = readdirSync(path.join(scene.store, "trials", trial.id)).filter(
      (name) => name === "result",
    );
    assert.equal(results.length, 1);
    assert.equal(scene.starts(trial), 2, "it was delivered twice");
    assert.equal(scene.result(trial), "the network after 40 epochs of synthetic:200");
  });

  test("a trial that falls behind is stopped with a checkpoint, and goes on when it is run again", async (context) => {
    const scene = await open(context);
    await scene.startWorker();
    const trial = scene.maker.fake({ epochs: 40, milliseconds: 20, holdsAt: 10 });
    const outcome = await scene.run(trial, new WatchedEpochs(3));
    assert.equal(outcome.status, "stopped");
    assert.ok(existsSync(path.join(scene.maker.directory(trial), "checkpoints/retrain.ckpt")));
    const begun = scene.epochs(trial).length;
    assert.ok(begun >= 3 && begun < 40, `${begun}`);
    assert.equal((await scene.run(trial)).status, "done");
    assert.equal(scene.epochs(trial).length, 40, "nothing is computed twice");
    assert.equal(scene.maker.log(trial).filter((line) => line.startsWith("begin")).length, 1);
  });

  test("a pause ends trials that run and takes off those that wait; both go on later", async (context) => {
    const scene = await open(context);
    await scene.startWorker();
    const trials = [0, 1].map(() => scene.maker.fake({ epochs: 100, milliseconds: 50 }));
    const watches = trials.map(() => new WatchedEpochs());
    const outcomes = trials.map((trial, index) => scene.run(trial, watches[index]));
    await until(() => trials.some((trial) => scene.maker.log(trial).length > 3));
    for (const watch of watches) watch.pause();
    assert.deepEqual(
      (await Promise.all(outcomes)).map(({ status }) => status),
      ["paused", "paused"],
    );
    assert.equal(await scene.withQueue((queue) => queue.getJobCountByTypes("waiting", "active")), 0);
    const again = await Promise.all(trials.map((trial) => scene.run(trial)));
    assert.deepEqual(
      again.map(({ status }) => status),
      ["done", "done"],
    );
    for (const trial of trials) assert.equal(scene.epochs(trial).length, 100);
  });

  test("a worker that is asked to end gives its trial back with a checkpoint, and another goes on", async (context) => {
    const scene = await open(context);
    const first = await scene.startWorker({ workshop: { worker: "first" } });
    const trial = scene.maker.fake({ epochs: 30, milliseconds: 20, holdsAt: 10 });
    const outcome = scene.run(trial);
    await until(() => scene.maker.log(trial).length > 4);
    first.leave();
    assert.equal((await first.report).failed, 0);
    await scene.startWorker({ workshop: { worker: "second" } });
    const ended = await outcome;
    assert.equal(ended.status, "done");
    assert.equal(ended.status === "done" ? ended.provenance.worker : "", "second");
    assert.equal(ended.status === "done" ? ended.provenance.attempts : 0, 1, "it is no failure");
    assert.deepEqual(
      scene.epochs(trial),
      Array.from({ length: 30 }, (_, index) => `epoch ${index + 1}`),
    );
  });

  test("a trial that fails is tried a stated number of times, and its reason comes back", async (context) => {
    const scene = await open(context);
    const worker = await scene.startWorker();
    const trial = scene.maker.fake({ epochs: 9, milliseconds: 1, fails: "the disk is full: ENOSPC" });
    const outcome = await scene.run(trial);
    assert.equal(outcome.status, "failed");
    if (outcome.status !== "failed") return;
    assert.match(outcome.reason, /the disk is full: ENOSPC/);
    assert.equal(outcome.attempts, 3);
    assert.equal(scene.starts(trial), 3);
    worker.leave();
    assert.equal((await worker.report).failed, 3);
  });

  test("Redis restarts, and is away: nothing is lost, nothing counted twice", async (context) => {
    const { scene, server } = await openAlone(context);
    const worker = await scene.startWorker({ lostAfterMs: 20_000, jobs: 2 });
    const trials = [0, 1, 2].map(() => scene.maker.fake({ epochs: 20, milliseconds: 50 }));
    const outcomes = trials.map((trial) => scene.run(trial));
    await until(() => trials.some((trial) => scene.maker.log(trial).length > 3));
    await server.down();
    await sleep(1500);
    await until(() => worker.notices.some((text) => /is away .*: waiting/.test(text)));
    await server.up();
    assert.deepEqual(
      (await Promise.all(outcomes)).map(({ status }) => status),
      ["done", "done", "done"],
    );
    for (const trial of trials) {
      assert.equal(scene.starts(trial), 1);
      assert.equal(scene.epochs(trial).length, 20);
    }
  });

  test("a worker that is asked to end while Redis is away ends, and its trial goes on from its checkpoint", async (context) => {
    const { scene, server } = await openAlone(context);
    const first = await scene.startWorker({ lostAfterMs: 3000 });
    const trial = scene.maker.fake({ epochs: 40, milliseconds: 50, holdsAt: 10 });
    const outcome = scene.run(trial);
    await until(() => scene.epochs(trial).length > 3);
    await server.down();
    first.leave();
    await first.report;
    await server.up();
    await scene.startWorker({ lostAfterMs: 3000, workshop: { worker: "second" } });
    const ended = await outcome;
    assert.equal(ended.status === "done" ? ended.provenance.worker : ended.status, "second");
    assert.equal(scene.epochs(trial).length, 40, "nothing is computed twice");
  });

  test("a store that is full is said once, and the trial goes on", async (context) => {
    const scene = await open(context);
    const store = await DirectoryStore.open(scene.store);
    let tries = 0;
    const full = new Proxy(store, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name);
        if (typeof found !== "function") return found;
        if (name !== "setRecord") return found.bind(target);
        return async (id: string, record: RecordName, content: string): Promise<void> => {
          if (record === "starts") return target.setRecord(id, record, content);
          tries += 1;
          throw new PenniError("io", "cannot write to the store", {
            file: `.penni-${tries}.tmp`,
            found: "ENOSPC",
          });
        };
      },
    });
    const worker = await scene.startWorker({ workshop: { store: full } });
    const trial = scene.maker.fake({ epochs: 30, milliseconds: 50 });
    const outcome = scene.run(trial);
    await until(() => scene.epochs(trial).length === 30);
    await outcome;
    assert.ok(tries > 10, `${tries}`);
    const said = worker.notices.filter((text) => /cannot write to the store/.test(text));
    // Once while it ran; then each attempt says why it has failed.
    assert.equal(said.length, 3 * 2, said.join("\n"));
  });

  test("two sweeps that have the same trial's model at different places leave each other's job as it is", async (context) => {
    const scene = await open(context);
    await administer("pause", queueAddress(scene.url));
    const trial = scene.maker.fake({ epochs: 1, milliseconds: 1 });
    const copy = path.join(scene.maker.folder, "copy.onnx");
    copyFileSync(scene.maker.model, copy);
    const same: Trial = { ...trial, number: 1000, settings: { ...trial.settings, model: copy } };
    const first = scene.run(trial);
    const job = async () => (await scene.withQueue((queue) => queue.getJob(jobIdOf(trial.id))))?.timestamp;
    await until(async () => (await job()) !== undefined);
    const before = await job();
    const other = await scene.openRunner();
    const second = other.run(same, scene.maker.directory(same), new WatchedEpochs());
    // Many looks of both.
    await sleep(2000);
    assert.equal(await job(), before);
    await administer("resume", queueAddress(scene.url));
    await scene.startWorker();
    assert.deepEqual(
      (await Promise.all([first, second])).map(({ status }) => status),
      ["done", "done"],
    );
    await other.close();
  });

  test("Redis lost entirely: the sweep fills the new one with what is missing", async (context) => {
    const { scene, server } = await openAlone(context);
    await scene.startWorker();
    const trials = [0, 1, 2].map(() => scene.maker.fake({ epochs: 10, milliseconds: 50 }));
    const outcomes = trials.map((trial) => scene.run(trial));
    await until(() => trials.some((trial) => scene.maker.log(trial).length > 3));
    await server.down();
    server.forget();
    await server.up();
    assert.deepEqual(
      (await Promise.all(outcomes)).map(({ status }) => status),
      ["done", "done", "done"],
    );
    for (const trial of trials)
      assert.equal(scene.maker.log(trial).filter((line) => line.startsWith("begin")).length, 1);
  });

  test("a worker of another version refuses by name; --mixed takes the trial and says so in its result", async (context) => {
    const scene = await open(context);
    const other = { ...ownVersions(), onnxruntime: "1.0.0" };
    const trial = scene.maker.fake({ epochs: 1, milliseconds: 1 });
    const refusing = await scene.startWorker({ workshop: { versions: other, worker: "old" } });
    const outcome = scene.run(trial);
    await until(() => scene.notices.some((text) => text.includes("the worker old has another version")));
    const said = scene.notices.find((text) => text.includes("the worker old")) ?? "";
    assert.match(said, /ONNX Runtime: expected \S+, found 1\.0\.0\..*--mixed/);
    assert.deepEqual(scene.maker.log(trial), []);
    refusing.leave();
    const { refused, failed } = await refusing.report;
    assert.deepEqual([refused >= 1, failed], [true, 0]);
    // It waits to be offered again.
    await scene.withQueue(async (queue) => (await queue.getJob(jobIdOf(trial.id)))?.promote());
    await scene.startWorker({
      isMixed: true,
      workshop: { versions: other, worker: "mixed" },
    });
    const ended = await outcome;
    assert.equal(ended.status === "done" ? ended.provenance.onnxruntime : ended.status, "1.0.0");
  });

  test("a worker with another store refuses by name, and leaves the trial to those that have the sweep's", async (context) => {
    const scene = await open(context);
    const other = `${scene.store}-other`;
    await DirectoryStore.create(other);
    const trial = scene.maker.fake({ epochs: 1, milliseconds: 1 });
    const wrong = await scene.startWorker({ isMixed: true, workshop: { worker: "astray" } }, other);
    const outcome = scene.run(trial);
    await until(() => scene.notices.some((text) => text.includes("the worker astray has another store")));
    assert.deepEqual(scene.maker.log(trial), []);
    wrong.leave();
    const { refused, failed } = await wrong.report;
    assert.deepEqual([refused >= 1, failed], [true, 0]);
    await scene.startWorker();
    await scene.withQueue(async (queue) => (await queue.getJob(jobIdOf(trial.id)))?.promote());
    const ended = await outcome;
    assert.equal(ended.status === "done" ? ended.provenance.worker : ended.status, "tester");
  });

  test("penni queue: status, pause, resume, drain", async (context) => {
    const scene = await open(context);
    const address = queueAddress(scene.url);
    assert.equal((await administer("pause", address)).isPaused, true);
    await scene.startWorker({ workshop: { worker: "seen" } });
    const trials = [0, 1].map(() => scene.maker.fake({ epochs: 2, milliseconds: 100 }));
    const outcomes = trials.map((trial) => scene.run(trial));
    await until(async () => (await administer("status", address)).waiting === 2);
    const status = await administer("status", address);
    assert.deepEqual([status.waiting, status.running.length], [2, 0]);
    assert.deepEqual(status.workers, ["seen"]);
    assert.equal((await administer("drain", address)).waiting, 0);
    assert.deepEqual(
      (await Promise.all(outcomes)).map((outcome) => outcome.status),
      ["paused", "paused"],
    );
    assert.equal((await administer("resume", address)).isPaused, false);
    const again = await Promise.all(trials.map((trial) => scene.run(trial)));
    assert.deepEqual(
      again.map((outcome) => outcome.status),
      ["done", "done"],
    );
  });

  test("penni queue looks over jobs that cannot be read, and takes them off, too", async (context) => {
    const scene = await open(context);
    const address = queueAddress(scene.url);
    const keys = `${KEY_PREFIX}:${QUEUE_NAME}`;
    const client = new Redis(scene.url);
    context.after(() => client.disconnect());
    for (const [id, list] of [
      ["torn", "wait"],
      ["torn-active", "active"],
    ] as const) {
      await client.hset(`${keys}:${id}`, { data: "{", name: "trial", opts: "{", timestamp: "1" });
      await client.lpush(`${keys}:${list}`, id);
    }
    await client.lpush(`${keys}:active`, "gone");
    const status = await administer("status", address);
    assert.deepEqual([status.waiting, status.running], [1, []]);
    assert.equal((await administer("drain", address)).waiting, 0);
    assert.equal(await client.exists(`${keys}:torn`), 0);
  });

  test("a store that is away: the attempt fails with the reason, and a later one succeeds", async (context) => {
    const scene = await open(context);
    const trial = scene.maker.fake({ epochs: 1, milliseconds: 1 });
    const hidden = `${scene.store}.away`;
    let isHidden = false;
    const seen: string[] = [];
    await administer("pause", queueAddress(scene.url));
    await scene.startWorker({
      workshop: {
        notice: (text) => {
          seen.push(text);
          if (isHidden && /trial [0-9a-f]{12}: /.test(text)) renameSync(hidden, scene.store);
          isHidden &&= !existsSync(scene.store);
        },
      },
    });
    const outcome = scene.run(trial);
    await until(async () => (await scene.withQueue((queue) => queue.getJobCountByTypes("waiting"))) > 0);
    renameSync(scene.store, hidden);
    isHidden = true;
    await administer("resume", queueAddress(scene.url));
    const ended = await outcome;
    assert.equal(ended.status, "done", JSON.stringify(ended));
    assert.equal(ended.status === "done" ? ended.provenance.attempts : 0, 2);
    assert.ok(
      seen.some((text) => /cannot read from the store|no store/.test(text)),
      seen.join("\n"),
    );
  });

  test("images at another place are taken where a map says, if they are the same", async (context) => {
    const scene = await open(context);
    const images = (name: string, content: string): string => {
      const place = path.join(folder, name);
      mkdirSync(path.join(place, "cats"), { recursive: true });
      writeFileSync(path.join(place, "cats/1.png"), content);
      return place;
    };
    const [there, same, other] = [images("there", "cat"), images("same", "cat"), images("other", "dog")];
    const local = (to: string) => ({ maps: [{ from: there, to }], check: () => undefined, threads: 1 });
    const wrong = await scene.startWorker({ workshop: { local: local(other) } });
    const trial = scene.maker.fake({ epochs: 1, milliseconds: 1 }, `folder:${there}`);
    const failed = await scene.run(trial);
    assert.match(failed.status === "failed" ? failed.reason : "", /not the images of the sweep.*--data-map/);
    wrong.leave();
    await wrong.report;
    await scene.startWorker({ workshop: { local: local(same) } });
    assert.equal((await scene.run(trial)).status, "done");
    assert.equal(scene.result(trial), `the network after 1 epochs of folder:${same}`);
    const config = JSON.parse(readFileSync(path.join(scene.maker.directory(trial), "config.json"), "utf8"));
    assert.equal(config.data, `folder:${there}`);
  });

  test("what a killed sweep has left on the queue for another store or version is put there anew", async (context) => {
    const scene = await open(context);
    const trial = scene.maker.fake({ epochs: 1, milliseconds: 1 });
    const digest = "0".repeat(64);
    const left = {
      format: 1,
      trial: trial.id,
      document: digest,
      versions: ownVersions(),
      store: digest.slice(32),
    };
    await scene.withQueue((queue) => queue.add(JOB_NAME, left, { jobId: jobIdOf(trial.id) }));
    const outcome = scene.run(trial);
    await scene.startWorker();
    assert.equal((await outcome).status, "done");
  });

  test("two sweeps with the same trial: one that takes it off leaves it to the other", async (context) => {
    const scene = await open(context);
    const trial = scene.maker.fake({ epochs: 1, milliseconds: 1 });
    const stayed = scene.run(trial);
    await until(async () => (await administer("status", queueAddress(scene.url))).waiting > 0);
    const other = await scene.openRunner();
    const leaving = new WatchedEpochs();
    leaving.pause();
    const left = other.run(trial, `${scene.maker.directory(trial)}-other`, leaving);
    assert.equal((await left).status, "paused");
    await scene.startWorker();
    assert.equal((await stayed).status, "done");
    await other.close();
  });

  test("a trial that ends its worker each time is not tried for ever", async (context) => {
    const scene = await open(context);
    const trial = scene.maker.fake({ epochs: 1, milliseconds: 1 });
    const there = await DirectoryStore.open(scene.store);
    await writeRecord(there, trial.id, "starts", { format: 1, checkpoint: null, count: 10 });
    await scene.startWorker();
    const outcome = await scene.run(trial);
    assert.match(outcome.status === "failed" ? outcome.reason : "", /ended its workers each time.*10 starts/);
    assert.deepEqual(scene.maker.log(trial), []);
  });

  test("a model may be called as its system allows", async (context) => {
    const scene = await open(context);
    await scene.startWorker();
    for (const name of [`${"n".repeat(250)}.onnx`, 'net: "v2"?.onnx', "a\\b.onnx", "net\n2.onnx"]) {
      const model = path.join(scene.maker.folder, name);
      copyFileSync(scene.maker.model, model);
      const { id: _, ...trial } = scene.maker.fake({ epochs: 1, milliseconds: 1 });
      const named = { ...trial, id: sha256(name), settings: { ...trial.settings, model } };
      const outcome = await scene.run(named);
      assert.equal(outcome.status, "done", JSON.stringify(outcome));
      const config = JSON.parse(readFileSync(path.join(scene.maker.directory(named), "config.json"), "utf8"));
      assert.equal(config.model, model);
    }
  });

  test("a trial whose model is gone fails with the reason, and nothing is put on the queue", async (context) => {
    const scene = await open(context);
    const trial = scene.maker.real({ model: path.join(folder, "none.onnx") });
    const outcome = await scene.run(trial);
    assert.equal(outcome.status, "failed");
    if (outcome.status !== "failed") return;
    assert.match(outcome.reason, /none\.onnx/);
    const { number } = trial;
    assert.ok(
      sweepEventSchema.safeParse({ ...outcome, event: "failed", number }).success,
      "no sweep can note it",
    );
    assert.equal(await scene.withQueue((queue) => queue.getJob(jobIdOf(trial.id))), undefined);
  });
});
