import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Queue } from "bullmq";
import { PenniError } from "../../src/graph/errors.js";
import { queueAddress, shownAddress, withoutPassword } from "../../src/queue/address.js";
import type { Compute } from "../../src/queue/computation.js";
import { DirectoryStore } from "../../src/queue/directory_store.js";
import { Publisher } from "../../src/queue/document.js";
import { connectionOptions, KEY_PREFIX, QUEUE_NAME } from "../../src/queue/libraries.js";
import { jobIdOf } from "../../src/queue/payload.js";
import { ownVersions, startWorker, TrialMaker } from "../../support/queue.js";
import { TestRedis, withoutRedis } from "../../support/redis_server.js";
import { until } from "../../support/until.js";

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

describe("poisoned jobs", { skip: withoutRedis }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "penni-hostile-"));
  const directory = path.join(folder, "store");
  const maker = new TrialMaker(path.join(folder, "sweep"));
  let redis: TestRedis;
  let store: DirectoryStore;
  let queue: Queue;

  before(async () => {
    redis = await TestRedis.start();
    await maker.prepare();
    store = await DirectoryStore.create(directory);
    queue = new Queue(QUEUE_NAME, {
      connection: connectionOptions(queueAddress(redis.url)),
      prefix: KEY_PREFIX,
    });
  });

  after(async () => {
    await queue.close();
    await redis.end();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a worker says of a job, which it must neither compute nor write anything for. */
  async function refusal(name: string, data: unknown, jobId: string): Promise<string> {
    let calls = 0;
    const compute: Compute = () => {
      calls += 1;
      throw new Error("it was computed");
    };
    const before = readdirSync(folder).sort();
    const worker = await startWorker(redis.url, directory, { workshop: { compute } });
    try {
      await queue.add(name, data, { jobId, attempts: 3 });
      await until(async () => (await queue.getJobState(jobId)) === "failed");
      const job = await queue.getJob(jobId);
      assert.equal(calls, 0);
      assert.equal(job?.attemptsMade, 1, "it is not tried again");
      return job.failedReason;
    } finally {
      worker.leave();
      await worker.report;
      assert.deepEqual(readdirSync(folder).sort(), before);
      await queue.remove(jobId);
    }
  }

  const payload = (trial: string, document: string): Record<string, unknown> => ({
    format: 1,
    trial,
    document,
    versions: ownVersions(),
    store: store.id,
  });

  test("unknown fields, other forms and other jobs' names are refused by what is wrong", async () => {
    const trial = digest("a trial");
    const good = payload(trial, digest("a document"));
    const jobId = jobIdOf(trial);
    const cases: readonly (readonly [string, unknown, string, RegExp])[] = [
      ["trial", { ...good, command: "touch /tmp/owned" }, jobId, /Unrecognized key: "command"/],
      ["trial", { ...good, trial: "../../etc" }, jobId, /trial: expected 64 hexadecimal digits/],
      ["trial", { ...good, document: `${digest("x")}/../..` }, jobId, /document: /],
      ["trial", { ...good, format: 0 }, jobId, /format: /],
      ["trial", { ...good, store: "/etc" }, jobId, /store: expected 32 hexadecimal digits/],
      ["trial", { ...good, versions: { ...ownVersions(), node: "20" } }, jobId, /versions: .*"node"/],
      ["trial", { ...good, versions: { penni: "$(id)", onnxruntime: "1" } }, jobId, /versions\.penni: /],
      ["email", { to: "ann@example.org" }, "email-1", /Unrecognized key|format/],
      ["email", good, jobId, /the job's name "email"/],
      ["trial", good, "trial-of-another", /the number of another job/],
      ["trial", "a text", "trial-text", /expected object/],
    ];
    for (const [name, data, id, message] of cases) {
      const reason = await refusal(name, data, id);
      assert.match(reason, /^refused a job that is no trial of Penni's/);
      assert.match(reason, message);
    }
  });

  test("a trial of a later version is left to the workers that know it, which is said by name", async () => {
    const trial = digest("a later trial");
    const jobId = jobIdOf(trial);
    const worker = await startWorker(redis.url, directory);
    try {
      await queue.add("trial", { format: 2, trial, shards: [1, 2] }, { jobId, attempts: 3 });
      await until(async () => (await queue.getJobState(jobId)) === "delayed");
      const job = await queue.getJob(jobId);
      assert.deepEqual([await queue.getJobState(jobId), job?.attemptsMade], ["delayed", 0]);
      assert.match(
        worker.notices.join(),
        /tester is of an older version of penni.*expected .*1, found format 2/,
      );
    } finally {
      worker.leave();
      assert.deepEqual(await worker.report, { done: 0, failed: 0, refused: 1 });
      await queue.remove(jobId);
    }
  });

  test("documents with hostile paths, of other trials, or with settings that do more are refused", async () => {
    const good = maker.real({ basis: 2 });
    const document = JSON.parse(
      new TextDecoder().decode(await store.read(await new Publisher(store).publish(good))),
    );
    const outside = { name: "../../../../tmp/owned", sha256: document.model.files[0].sha256 };
    const cases: readonly (readonly [object, RegExp])[] = [
      [
        { ...document, model: { ...document.model, files: [outside] } },
        /model\.files\.0\.name: expected a path below/,
      ],
      [{ ...document, extra: 1 }, /"extra"/],
      [{ ...document, trial: digest("another") }, /the document of another/],
      [{ ...document, data: { spec: "folder:../..", fingerprint: null } }, /no absolute path/],
      [{ ...document, data: { spec: "folder:/etc/../root", fingerprint: null } }, /no absolute path/],
    ];
    for (const [content, message] of cases) {
      const reason = await refusal(
        "trial",
        payload(good.id, await store.put(JSON.stringify(content))),
        jobIdOf(good.id),
      );
      assert.match(reason, /^refused a trial/);
      assert.match(reason, message);
    }
    assert.ok(!existsSync("/tmp/owned"));
  });
});

describe("the address of a queue", () => {
  const secret = "s3cret/päss@word";
  const url = `rediss://ann:${encodeURIComponent(secret)}@[::1]:7000/3`;

  test("is read with its password, and shown without", () => {
    const address = queueAddress(url);
    assert.deepEqual(address, {
      host: "::1",
      port: 7000,
      db: 3,
      username: "ann",
      password: secret,
      isTls: true,
    });
    assert.equal(shownAddress(address), "rediss://[::1]:7000/3");
    assert.equal(withoutPassword(`AUTH ann ${secret} ${url}`, address).includes("s3cret"), false);
    assert.equal(shownAddress(queueAddress("redis://head")), "redis://head:6379/0");
  });

  test("that an unencoded password cuts off is refused with how to write it", () => {
    for (const [index, mark] of ["#", "/", "?", "#a@b/"].entries())
      for (const user of ["", "ann"])
        assert.throws(
          () => queueAddress(`redis${index % 2 === 0 ? "" : "s"}://${user}:12${mark}s3cret@head:6379/0`),
          (error) =>
            error instanceof PenniError &&
            /cut off before its host.*Percent-encode.*# as %23/.test(error.message) &&
            !/s3cret|12/.test(`${error.message}`),
        );
    assert.equal(queueAddress("redis://:12%23s3cret@head/0").password, "12#s3cret");
  });

  test("that is none is refused without repeating it", () => {
    for (const bad of [
      `http://ann:${secret}@head`,
      `ann:${secret}`,
      `redis://ann:s3cret@head/x`,
      `redis://ann:s3cret@head/0?tls=1`,
      `redis://ann:s3cret@head:99999`,
    ])
      assert.throws(
        () => queueAddress(bad),
        (error) =>
          error instanceof PenniError &&
          error.code === "bad-option" &&
          /expected redis:\/\//.test(error.message) &&
          !/s3cret/.test(`${error.message}${error.stack}`),
      );
  });
});
